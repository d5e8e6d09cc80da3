"""What the chart's tests expect: an example of each value, the rights in the cluster, the paths of nodes."""
# What must hold for a value to be looked at: the other values that its example needs.
MONITORED = {"metrics": {"serviceMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}}}
HOST_PATH = {"broker": {"persistence": {"type": "hostPath"}}}
TOLERATIONS = [{"key": "other", "operator": "Exists"}]
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}}
RESOURCES = {"requests": {"cpu": "7m", "memory": "7Mi"}, "limits": {"memory": "777Mi"}}
MAP, WRONG_MAP, WRONG_RESOURCES = {"example.org/a": "b"}, {"a": 1}, {"requests": {"gpus": "1"}}
# A value that differs from the default, one that must be refused, and what else to set.
EXAMPLES = {
    "nameOverride": ("other", "Not_A_Name"), "fullnameOverride": ("other", "UPPER"), "namespaceOverride": ("other", "a.b"),
    "image.registry": ("registry.example.org:5000", "https://x"), "image.repository": ("our/mirror", "UPPER"), "image.tag": ("1.2.3", "a b"),
    "image.pullPolicy": ("Never", "never"), "imagePullSecrets": ([{"name": "pull"}], ["pull"]), "logLevel": ("debug", "verbose"),
    "podAnnotations": (MAP, WRONG_MAP), "podLabels": (MAP, WRONG_MAP),
    "podSecurityContext": ({"seLinuxOptions": {"type": "spc_t"}}, {"runAsUser": 0}),
    "enableNodes": (["worker-1.example"], ["Worker_1"]), "nodeSelector": (MAP, WRONG_MAP), "affinity": (AFFINITY, {"nodes": {}}), "tolerations": (TOLERATIONS, [{"effect": "No"}]),
    "priorityClassName": ("mine", "My Class"), "runtimeClassName": ("runc", "ccgpu"), "kubelet.rootDir": ("/data/kubelet", "data/kubelet"),
    "emulator.gpus": (8, 65), "emulator.profile": ("a100-nc", "b200"), "emulator.customProfile": ("apiVersion: x\nkind: y\n", 7),
    "emulator.platform": ("tdx", "sgx"), "emulator.port": (9999, 0), "emulator.service.port": (81, 70000),
    "emulator.updateStrategy": ("RollingUpdate", "Recreate"), "emulator.podAnnotations": (MAP, WRONG_MAP), "emulator.resources": (RESOURCES, WRONG_RESOURCES),
    "devicePlugin.mode": ("watcher", "poll"), "devicePlugin.allowedModes": (["hopper-cc", "apm"], ["on"]), "devicePlugin.port": (9999, "9410"),
    "devicePlugin.maxSurge": ("10%", -1), "devicePlugin.podAnnotations": (MAP, WRONG_MAP), "devicePlugin.resources": (RESOURCES, WRONG_RESOURCES),
    "nodeInstaller.containerdConfig": ("/var/lib/k3s/config.toml", "config.toml"), "nodeInstaller.containerdSocket": ("/run/k3s/containerd.sock", "unix:///run/x"),
    "nodeInstaller.restartCommand": ("systemctl restart k3s", ["systemctl"]), "nodeInstaller.requirePolicy": (False, "no"), "nodeInstaller.port": (9999, -1),
    "nodeInstaller.podAnnotations": (MAP, WRONG_MAP), "nodeInstaller.resources": (RESOURCES, WRONG_RESOURCES),
    "nodeManager.drainTimeout": (60, 0), "nodeManager.port": (9999, 1.5), "nodeManager.podAnnotations": (MAP, WRONG_MAP),
    "nodeManager.resources": (RESOURCES, WRONG_RESOURCES), "ccManager.defaultMode": ("on", "ppcie"),
    "broker.insecureAcceptEmulated": (True, "true"), "broker.explainDenials": (False, 1), "broker.persistence.type": ("emptyDir", "nfs"),
    "broker.persistence.storageClass": ("fast", "Fast!"), "broker.persistence.size": ("5Gi", "five"), "broker.persistence.existingClaim": ("mine", "My"),
    "broker.persistence.ownFolder": (False, "no"), "broker.persistence.hostPath": ("/data/broker", "data", HOST_PATH), "broker.service.type": ("LoadBalancer", "Ingress"),
    "broker.service.port": (8443, 0), "broker.service.clusterIP": ("10.96.7.7", "ten"), "broker.service.annotations": (MAP, WRONG_MAP),
    "broker.peerLimits": ({"burst": 5000, "perSecond": 100}, {"burst": 5000, "perSecond": 0}),
    "broker.externalUrl": ("https://broker.example.org:8443", "http://broker.example.org"), "broker.tlsNames": (["broker.example.org"], ["a b"]),
    "broker.collateral.rimUrl": ("https://rim.example.org/v1/rim/", "rim.example.org"), "broker.collateral.ocspUrl": ("https://ocsp.example.org/", "ftp://x"),
    "broker.collateral.pcsUrl": ("https://pcs.example.org", 1), "broker.nodeSelector": (MAP, WRONG_MAP), "broker.affinity": (AFFINITY, []),
    "broker.tolerations": (TOLERATIONS, {}), "broker.priorityClassName": ("mine", "My Class"), "broker.podAnnotations": (MAP, WRONG_MAP),
    "broker.resources": (RESOURCES, WRONG_RESOURCES), "runtimeClass.overhead.cpu": ("70m", "little"), "runtimeClass.overhead.memory": ("70Mi", "70MB"),
    "runtimeClass.tolerations": (TOLERATIONS, [1]), "networkPolicy.enabled": (False, "yes"),
    "networkPolicy.brokerFrom": ([{"podSelector": {"matchLabels": {"a": "b"}}}], [{}]),
    "metrics.serviceMonitor.enabled": (True, "auto"), "metrics.serviceMonitor.interval": ("5s", "5", MONITORED),
    "metrics.serviceMonitor.labels": (MAP, WRONG_MAP, MONITORED), "metrics.rules.enabled": (True, 1), "metrics.rules.labels": (MAP, WRONG_MAP, MONITORED),
    "metrics.dashboard.enabled": (True, 1), "metrics.dashboard.labels": (MAP, WRONG_MAP, MONITORED),
    "hooks.setupTimeout": (60, 1), "hooks.teardownTimeout": (60, "10m"), "hooks.nodeSelector": (MAP, WRONG_MAP), "hooks.tolerations": (TOLERATIONS, "all"),
    "hooks.resources": (RESOURCES, WRONG_RESOURCES),
}
# Every right in the cluster: (resource, verb, bound to these names). A new one is written down here too.
RIGHTS = {
    "node-installer": {("nodes", "get", ()), ("nodes", "patch", ()), ("daemonsets", "get", ("ccgpu-node-installer",))},
    "node-manager": {("nodes", "get", ()), ("nodes", "list", ()), ("nodes", "watch", ()), ("nodes", "patch", ()), ("nodes/status", "patch", ()),
                     ("pods", "get", ()), ("pods", "list", ()), ("pods", "watch", ()), ("pods/status", "patch", ()), ("pods/eviction", "create", ()),
                     ("events", "create", ()), ("events", "patch", ())},
    "setup": {("secrets", "create", ()), ("secrets", "get", ("ccgpu-identity", "ccgpu-broker")), ("configmaps", "create", ()),
              ("configmaps", "patch", ("ccgpu-trust",))},
    "teardown": {("nodes", "get", ()), ("nodes", "list", ()), ("nodes", "patch", ()), ("nodes/status", "patch", ()),
                 ("daemonsets", "patch", ("ccgpu-node-installer",)), ("secrets", "delete", ("ccgpu-identity", "ccgpu-broker")),
                 ("configmaps", "delete", ("ccgpu-trust",))},
}
# What only a value asks for.
ENABLES = {"enableNodes": ["*"]}
RIGHTS_TO_ENABLE = {("nodes", "list", ()), ("nodes", "patch", ())}
HOST_PATHS = {
    "emulator": {"/var/lib/ccgpu/emulator", "/run/ccgpu"}, "node-installer": set(), "node-manager": {"/run/ccgpu"}, "broker": set(), "setup": set(), "teardown": set(),
    "device-plugin": {"/run/ccgpu", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pod-resources", "/var/run/cdi"},
}
