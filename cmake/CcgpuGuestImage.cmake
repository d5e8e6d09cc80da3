# What the secure processor measures and starts: guestd, the agent and the two driver libraries, stripped, in guest/ beside bin/.
set(guest ${CMAKE_BINARY_DIR}/guest)
set(stripped)
foreach(pair ccgpu-guestd:guestd ccgpu-agent:agent cuda:libcuda.so.1 nvidia-ml:libnvidia-ml.so.1)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 target)
  list(GET pair 1 name)
  add_custom_command(OUTPUT ${guest}/${name}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${guest}
    COMMAND ${CMAKE_STRIP} -o ${guest}/${name} $<TARGET_FILE:${target}>
    DEPENDS ${target} VERBATIM)
  list(APPEND stripped ${guest}/${name})
endforeach()
add_custom_target(guest-image ALL DEPENDS ${stripped})

# Everything that a running deployment needs, without tests and benchmarks: what `./run demo` builds.
add_custom_target(demo-programs DEPENDS guest-image containerd-shim-ccgpu-v2 ccgpu-emulator ccgpu-device-plugin ccgpu-broker ccgpu-node ccgpu
  digits digits-seal digits-ptx)
