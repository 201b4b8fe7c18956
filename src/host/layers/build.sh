# Runs as the first process of its own mount and process namespace: every mount made here is gone
# when it ends, however it ends. Standard output carries APT's status lines, nothing else.
#
# LAYERS     directory of the published layers; LOWERS names roots in it, topmost first, ':' between
# BUILD      directory of this build: new/root (becomes the layer), work, empty, merged, archives,
#            apt.conf, acquire.conf, debian.sources, dpkg.conf, stand-in, drop, users
# LISTS      index files of APT
# SUITE      Debian suite
# KEYRING    the host's keyring of Debian's archive
# JOBS       processes that compile Python
# arguments  what `apt-get install` is told
exec 3>&1 1>&2
umask 022
# Not what a layer has below /usr/local, which is nobody's package.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# The layer is every host's: packages write this name down.
echo localhost >/proc/sys/kernel/hostname
cd "$LAYERS"
upper=$BUILD/new/root
root=$BUILD/merged

if [ "$LOWERS" = "$BUILD/empty" ]; then
	# mmdebstrap wants the index in the new root; names for the same files cost nothing.
	mkdir -p "$upper/var/lib/apt"
	cp -al "$LISTS" "$upper/var/lib/apt/"
fi

# `volatile`: no fsync reaches the disk; the layer is synced once, before it is published. The
# other options keep the upper directory a plain one, fit to be a lower of any later overlay.
overlay=volatile,redirect_dir=off,metacopy=off,index=off
mount -t overlay overlay -o "$overlay,lowerdir=$LOWERS,upperdir=$upper,workdir=$BUILD/work" "$root"

stage() {
	echo "aio: $*"
}

bind_archives() {
	mkdir -p "$root/var/cache/apt/archives"
	mount --bind "$BUILD/archives" "$root/var/cache/apt/archives"
}

if [ "$LOWERS" = "$BUILD/empty" ]; then
	stage unpacking the essential packages
	bind_archives
	# The essential packages alone; all others go through APT below, as in every layer. Excluding
	# paths by mmdebstrap's own option would filter each archive in Perl, which takes thrice as
	# long: dpkg excludes them from its own pass, and what the first pass left is removed at the end.
	export BUILD
	env --unset=APT_CONFIG mmdebstrap --quiet --mode=root --variant=apt --format=directory \
		--skip=update,check/empty,essential/unlink,cleanup/apt,cleanup/reproducible \
		--keyring="$KEYRING" --aptopt="$BUILD/acquire.conf" \
		--extract-hook='cp "$BUILD/dpkg.conf" "$1/etc/dpkg/dpkg.cfg.d/aio-build"' \
		"$SUITE" "$root" "$BUILD/debian.sources"
else
	bind_archives
fi

mount_system nosuid,nodev,noexec
mkdir -m 1777 "$root/run/lock"

# Packages ask for the machine's address by its name, where it has no route.
echo 127.0.0.1 localhost >"$root/etc/hosts"

# Nothing starts while packages are configured.
mkdir -p "$root/usr/sbin"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
# What packages would do again and again is done once, below.
mkdir "$root/run/stand-ins"
for tool in py3compile update-ca-certificates; do
	cp "$BUILD/stand-in" "$root/run/stand-ins/$tool"
done

stage installing packages
APT_CONFIG=$BUILD/apt.conf apt-get install --yes --quiet --no-install-recommends \
	--option APT::Status-Fd=3 "$@"

called() {
	[ -e "$root/run/stand-ins/$1.called" ]
}

if called update-ca-certificates; then
	stage collecting certificates
	chroot "$root" update-ca-certificates
fi

if [ -s "$BUILD/users" ]; then
	stage making users
	while read -r user groups; do
		# With what /etc/skel has.
		chroot "$root" getent passwd "$user" >/dev/null || chroot "$root" useradd --system \
			--user-group --home-dir "/var/lib/$user" --create-home --key HOME_MODE=0755 \
			--shell /usr/sbin/nologin "$user"
		for group in $groups; do
			chroot "$root" usermod --append --groups "$group" "$user"
		done
		mkdir -p "$root/etc/$user" "$root/var/lib/$user" "$root/var/log/$user"
		chroot "$root" chown "$user:$user" "/var/lib/$user" "/var/log/$user"
		chroot "$root" chown "root:$user" "/etc/$user"
		chmod 0750 "$root/etc/$user"
	done <"$BUILD/users"
fi

if called py3compile && [ -x "$root/usr/bin/python3" ]; then
	stage compiling Python
	paths=$root/run/stand-ins/py3compile.paths
	touch "$paths"
	directories=$(cd "$upper" && for directory in usr/lib/python3 $(sort -u "$paths"); do
		if [ -d "$directory" ]; then echo "$directory"; fi
	done)
	if [ -n "$directories" ]; then
		# Tests are a third of the code, and no service imports them.
		(cd "$upper" && find $directories -name tests -prune -o -name '*.py' -printf '/%p\n') \
			>"$root/run/sources"
		# A file that does not compile (a template, another version's syntax) is nobody's failure.
		chroot "$root" python3 -m compileall -qq -j "$JOBS" -i /run/sources || true
	fi
fi

stage removing what only the installation needed
# First of all what is shared with other builds, so that it cannot be what is removed.
umount "$root/var/cache/apt/archives"
# In the merged root, not in the upper directory: what a lower layer has must be hidden too.
while IFS= read -r path; do
	if [ -d "$root$path" ]; then
		find "$root$path" -xdev -mindepth 1 -delete
	else
		rm -f "$root$path"
	fi
done <"$BUILD/drop"
find "$root/var/log" -xdev ! -type d -delete
stage done
