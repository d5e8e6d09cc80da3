"""What a node does with pods and their GPUs, written once: the same functions run against `ccgpu-node` and against a real kubelet.

The list follows kubernetes' own suite for device plugins (test/e2e_node). Each function takes a Place and leaves no pod behind. Where the two
differ kubelet is right; what differs on purpose is an attribute of the Place, and the scenario holds both to it.
"""


def pods_get_devices_of_their_own(place):
    with place.pods(place.pod("own-a"), place.pod("own-b")):
        first, second = place.held("own-a"), place.held("own-b")
        assert len(first) == len(second) == 1 and first != second, (first, second)


def more_than_there_are_is_not_admitted(place):
    with place.gone("many"):
        place.start(place.pod("many", gpus=place.gpus + 1))
        place.refused("many", "Requested: 5, Available: 4", "requested 5, available 4")


def a_pod_that_goes_makes_room_for_the_next(place):
    with place.pods(place.pod("all", gpus=place.gpus)), place.gone("late"):
        assert len(place.held("all")) == place.gpus
        place.start(place.pod("late"))
        place.refused("late", "Requested: 1, Available: 0", "requested 1, available 0")
        place.remove("late", "all")
        with place.pods(place.pod("late", gpus=place.gpus)):
            assert len(place.held("late")) == place.gpus


def a_pod_that_ended_holds_nothing(place):
    """It is still there to be looked at, and its GPUs are the next pod's."""
    with place.gone("done"):
        place.start(place.pod("done", "echo bye", gpus=place.gpus))
        place.ends("done", "Succeeded")
        with place.pods(place.pod("next", gpus=place.gpus)):
            assert place.phase("done") == "Succeeded" and "bye" in place.logs("done")


def exit_codes_are_told(place):
    with place.gone("seven"):
        place.start(place.pod("seven", "exit 7", gpus=0))
        place.ends("seven", "Failed")
        assert place.exit_code("seven") == 7


def a_failed_container_runs_again_where_the_policy_says_so(place):
    """OnFailure: until it succeeds, in the same pod, with the same GPU."""
    body = place.pod("again", "if [ -e /kept/once ]; then echo second; else echo first; touch /kept/once; exit 1; fi", restartPolicy="OnFailure", volumes=[{"name": "kept", "emptyDir": {}}])
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "kept", "mountPath": "/kept"}]
    with place.gone("again"):
        place.start(body)
        place.ends("again", "Succeeded")
        assert place.restarts("again") == 1 and place.exit_code("again") == 0


def a_failed_init_container_ends_the_pod(place):
    body = place.pod("unready", "echo reached")
    body["spec"]["initContainers"] = [place.container("first", "exit 3")]
    with place.gone("unready"):
        place.start(body)
        place.ends("unready", "Failed")
        assert "reached" not in place.logs("unready")
        with place.pods(place.pod("next", gpus=place.gpus)):
            pass


def a_deadline_ends_the_pod(place):
    with place.gone("long"):
        place.start(place.pod("long", activeDeadlineSeconds=2))
        told = place.ends("long", "Failed")
        assert "DeadlineExceeded" in told or "node.deadline-exceeded" in told, told


def init_containers_share_with_those_after_them(place):
    body = place.pod("shared")
    body["spec"]["initContainers"] = [place.container("first", "true", gpus=2), place.container("second", "true")]
    with place.pods(body):
        held = place.devices("shared")
        assert held["main"] < held["first"] and held["second"] < held["first"] and len(held["first"]) == 2, held


def a_sidecar_keeps_its_device_to_itself(place):
    body = place.pod("sidecar")
    body["spec"]["initContainers"] = [place.container("beside", "sleep 3600", restartPolicy="Always"), place.container("first", "true")]
    if place.has_sidecars:
        with place.pods(body):
            held = place.devices("sidecar")
            assert held["first"] == held["main"] and not held["beside"] & held["main"], held
    else:
        with place.gone("sidecar"):
            place.start(body)
            place.refused("sidecar", "node.unsupported-field")
            assert "restartPolicy" in place.told("sidecar")


def assignment_survives_a_container_restart(place):
    with place.pods(place.pod("restarted", restartPolicy="Always")):
        before = place.devices("restarted")
        place.killer("restarted")()
        place.until("it runs again", lambda: place.restarts("restarted") == 1 and place.running("restarted"))
        assert place.devices("restarted") == before


def assignment_survives_plugin_and_node_service(place):
    plugin, service = place.restart_plugin, place.restart_node_service
    with place.pods(place.pod("kept")):
        before = place.devices("kept")
        for restarts in ([service], [plugin], [plugin, service], [service, plugin]):
            for restart in restarts:
                restart()
            place.all_offered()
            assert place.devices("kept") == before, restarts
            assert place.running("kept") and place.restarts("kept") == 0, place.told("kept")
        with place.pods(place.pod("other")):
            assert not place.held("other") & before["main"]


def an_end_that_nobody_watched_is_told(place):
    """Containers end while the node's service is away: the pods are over when it is back, and what they held is free.

    Only the pod without a GPU is sure to have its exit code: kubelet admits pods anew at its start, and one whose container no longer runs fails
    that (UnexpectedAdmissionError) when the plugin has not registered yet."""
    with place.pods(place.pod("with-gpu"), place.pod("without", gpus=0)):
        killers = [place.killer("with-gpu"), place.killer("without")]
        with place.without_node_service():
            for kill in killers:
                kill()
        place.ends("with-gpu", "Failed")
        place.ends("without", "Failed")
        assert place.exit_code("without") == 137, place.told("without")
        place.all_offered()
        with place.pods(place.pod("next", gpus=place.gpus)):
            pass


def without_a_plugin_nothing_is_given_and_all_goes_on(place):
    with place.pods(place.pod("goes-on")), place.gone("comes-late"):
        with place.without_plugin():
            place.until("nothing is offered", lambda: place.offered() == 0)
            assert place.running("goes-on")
            place.start(place.pod("comes-late"))
            place.refused("comes-late", "no healthy devices present")
        assert place.running("goes-on")
        with place.pods(place.pod("comes-after")):
            assert not place.held("comes-after") & place.held("goes-on")


def a_pod_that_succeeded_is_not_admitted_again(place):
    with place.gone("over"):
        place.start(place.pod("over", "true"))
        place.ends("over", "Succeeded")
        with place.without_plugin():
            place.restart_node_service()
            assert place.phase("over") == "Succeeded", place.told("over")


def unhealthy_devices_are_not_given_out(place):
    with place.pods(place.pod("unwell")), place.gone("rest"):
        device, = place.held("unwell")
        place.fault(device, "drop")
        try:
            place.until("one less is offered", lambda: place.offered() == place.gpus - 1)
            # Nobody ends a pod whose device fails: what it has in hand is its own.
            assert place.running("unwell")
            place.start(place.pod("rest", gpus=place.gpus))
            place.refused("rest", "Requested: 4, Available: 3", "requested 4, available 3")
            place.remove("rest")
            with place.pods(place.pod("rest", gpus=place.gpus - 1)):
                assert device not in place.held("rest")
        finally:
            place.fault(device, "none")
        place.all_offered()
        assert place.running("unwell")


def a_resource_that_nobody_offers_is_given_to_nobody(place):
    """kubelet lets the pod run without it, which is why our shim asks for itself; ccgpu-node refuses it."""
    body = place.pod("strange", gpus=0)
    body["spec"]["containers"][0]["resources"] = {"limits": {"unknown.example.com/gpu": "1"}}
    with place.gone("strange"):
        place.start(body)
        if place.admits_unknown_resources:
            place.runs("strange")
            assert not place.devices("strange")
        else:
            place.refused("strange", "node.unknown-resource")


def a_plugin_that_hangs_stops_nobody_who_runs(place):
    """It is alive and answers nothing. Whoever waits for it gets a GPU when it is back, or was told why not."""
    with place.pods(place.pod("before")), place.gone("waits"):
        with place.frozen("device-plugin"):
            place.start(place.pod("waits"))
            if not place.waits_for_allocate:
                place.refused("waits", "node.allocate-failed", limit_s=40)
            else:
                place.until("it is Pending", lambda: place.phase("waits") == "Pending")
            assert place.running("before")
        if place.waits_for_allocate:
            place.runs("waits")
        place.all_offered()
        with place.pods(place.pod("after")):
            assert not place.held("after") & place.held("before")


def an_emulator_that_hangs_takes_its_gpus_away_and_brings_them_back(place):
    with place.pods(place.pod("before")), place.gone("refused"):
        with place.frozen("emulator"):
            place.until("nothing is offered", lambda: place.offered() == 0, 40)
            place.start(place.pod("refused"))
            place.refused("refused", "no healthy devices present")
        place.all_offered()
        with place.pods(place.pod("after")):
            assert not place.held("after") & place.held("before")


def another_plugin_for_our_resource_harms_nobody_for_long(place):
    """Whatever it does wrong: pods that run go on, and when it is gone our GPUs are all there again without a hand."""
    with place.pods(place.pod("before")):
        before = place.devices("before")
        for manner in ("no-options", "list-ends", "list-garbage", "good"):
            with place.foreign_plugin(manner, "Foreign-1") as answer:
                assert answer.startswith("refused") == (manner == "no-options"), f"{manner}: {answer}"
            place.all_offered()
            assert place.running("before") and place.devices("before") == before, manner
        with place.pods(place.pod("after")):
            assert not place.held("after") & place.held("before")


def another_plugin_that_is_killed_harms_nobody_for_long(place):
    """Its socket stays, so that nothing in the folder changes: only the kubelet can say that it has lost our GPUs."""
    left = place.plugin_folder() / "foreign.sock"
    try:
        with place.foreign_plugin("good", "Foreign-1", killed=True) as answer:
            assert answer == "registered", answer
            place.until("its GPU is offered in the place of ours", lambda: place.offered() == 1)
        assert left.is_socket()
        place.all_offered()
        with place.pods(place.pod("after")):
            assert "Foreign-1" not in place.held("after")
    finally:
        left.unlink(missing_ok=True)


def a_gpu_of_another_plugin_is_none_of_ours(place):
    """It offers a GPU that no emulator has. Who gets that one does not start: the shim asks whose it is."""
    sealed = place.seal(place.pod("misled"))
    with place.gone("misled"):
        with place.foreign_plugin("good", "Foreign-1") as answer:
            assert answer == "registered", answer
            place.start(sealed)
            place.until("it is refused with the reason", lambda: "plugin.unknown-device" in place.told("misled"))
            assert "Foreign-1" in place.told("misled") and not place.running("misled")
    place.all_offered()
    with place.pods(place.seal(place.pod("misled"))):
        pass


SCENARIOS = [pods_get_devices_of_their_own, more_than_there_are_is_not_admitted, a_pod_that_goes_makes_room_for_the_next, a_pod_that_ended_holds_nothing,
             exit_codes_are_told, a_failed_container_runs_again_where_the_policy_says_so, a_failed_init_container_ends_the_pod, a_deadline_ends_the_pod,
             init_containers_share_with_those_after_them, a_sidecar_keeps_its_device_to_itself, assignment_survives_a_container_restart,
             assignment_survives_plugin_and_node_service, an_end_that_nobody_watched_is_told, without_a_plugin_nothing_is_given_and_all_goes_on,
             a_pod_that_succeeded_is_not_admitted_again, unhealthy_devices_are_not_given_out, a_resource_that_nobody_offers_is_given_to_nobody, a_plugin_that_hangs_stops_nobody_who_runs,
             an_emulator_that_hangs_takes_its_gpus_away_and_brings_them_back, another_plugin_for_our_resource_harms_nobody_for_long,
             another_plugin_that_is_killed_harms_nobody_for_long, a_gpu_of_another_plugin_is_none_of_ours]
