# The administrator's cloud of clouds.yaml, unless another was chosen (openrc chooses by variables).
[ -n "$OS_AUTH_URL" ] || export OS_CLOUD="${OS_CLOUD:-default}"
