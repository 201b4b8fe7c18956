# Runs a layer's own script, which may run what no package brought: as the owner of the layer's files, with
# no power over more. Runs as `build.sh` does, in namespaces of its own and without a network.
#
# LAYERS  directory of the published layers; LOWERS names roots in it, topmost first, ':' between
# BUILD   directory of this build: new/root (becomes the layer), work, merged, script
umask 022
cd "$LAYERS"
root=$BUILD/merged

echo aio: finishing
overlay=volatile,redirect_dir=off,metacopy=off,index=off
rm -rf "$BUILD/work/work"
mount -t overlay overlay -o "$overlay,lowerdir=$LOWERS,upperdir=$BUILD/new/root,workdir=$BUILD/work" "$root"
mount_system ro,nosuid,nodev,noexec
exec chroot "$root" setpriv --no-new-privs --inh-caps=-all --bounding-set=-all \
	env PATH=/usr/local/bin:/usr/bin:/bin sh -eu <"$BUILD/script"
