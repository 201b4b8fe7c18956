# Takes Python distributions into a layer. Runs as `build.sh` does, in namespaces of its own and without
# a network, and runs nothing of theirs.
#
# LAYERS       directory of the published layers; LOWERS names roots in it, topmost first, ':' between
# BUILD        directory of this build: new/root (becomes the layer), work, merged
# STAGED       the directory in which they were installed
# PYTHON_HOME  where it stands in the layer
# VERSION      the layer's Python
# MODULES      names of modules that packages bring, where a container has those
# KEEP_TESTS   packages whose tests stay
# JOBS         processes that compile
exec 3>&1 1>&2
cd "$LAYERS"
upper=$BUILD/new/root
root=$BUILD/merged
site=$PYTHON_HOME/lib/python$VERSION/site-packages

stage() {
	echo "aio: $*"
}

stage taking Python distributions into the layer
chmod -R u+rwX,go+rX,go-w,u-s,g-s "$STAGED"
mkdir -p "$(dirname "$upper$PYTHON_HOME")"
mv "$STAGED" "$upper$PYTHON_HOME"
overlay=volatile,redirect_dir=off,metacopy=off,index=off
rm -rf "$BUILD/work/work"
mount -t overlay overlay -o "$overlay,lowerdir=$LOWERS,upperdir=$upper,workdir=$BUILD/work" "$root"
cd "$root$PYTHON_HOME"

# What distributions bring for /etc: configurations, filters, policies.
if [ -d etc ]; then
	cp -R etc/. "$root/etc/"
	rm -rf etc
fi
rm -rf .aio .lock .gitignore CACHEDIR.TAG share/doc share/man

# Their programs, where everybody looks for programs.
mkdir -p "$root/usr/local/bin"
rm -f bin/activate* bin/deactivate* bin/pydoc* bin/uv bin/uvx
for program in bin/*; do
	case $program in
	# By a link it would not know where it is, and what belongs to it.
	bin/python*)
		printf '#!/bin/sh\nexec %s "$@"\n' "$PYTHON_HOME/$program" >"$root/usr/local/$program"
		chmod 0755 "$root/usr/local/$program"
		;;
	*) ln -sf "$PYTHON_HOME/$program" "$root/usr/local/bin/" ;;
	esac
done

# A link to nothing is a module that is not there.
for module in $MODULES; do
	binary=$module.cpython-$(echo "$VERSION" | tr -d .)-$(uname -m)-linux-gnu.so
	for name in "$module" "$module.py" "$binary"; do
		ln -s "/usr/lib/python3/dist-packages/$name" "$root$site/$name"
	done
done

stage compiling Python
# Tests are a third of all, and hardly a service imports them.
for package in $KEEP_TESTS; do
	mv "$root$site/$package/tests" "$root$site/$package/.tests"
done
find "$root$site" -type d -name tests -prune -exec rm -rf {} +
for package in $KEEP_TESTS; do
	mv "$root$site/$package/.tests" "$root$site/$package/tests"
done
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for node in null urandom; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# A file that does not compile (a template, another version's syntax) is nobody's failure.
chroot "$root" "python$VERSION" -m compileall -qq -j "$JOBS" "$site" || true
stage done
