# Stands before scripts that work in a merged root.

# What programs may expect of a running system, and nothing that they could change on it: below $root, with
# /proc by these options.
mount_system() {
	mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
	for node in null zero full random urandom tty; do
		: >"$root/dev/$node"
		mount --bind "/dev/$node" "$root/dev/$node"
	done
	mkdir "$root/dev/shm"
	ln -s /proc/self/fd "$root/dev/fd"
	mount -t proc -o "$1" proc "$root/proc"
	mount -t tmpfs -o mode=0755 tmpfs "$root/run"
	mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
}

