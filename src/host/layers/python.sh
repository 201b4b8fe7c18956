# Takes Python distributions into a layer, and runs nothing of theirs. Runs as `build.sh` does, in
# namespaces of its own and without a network. What it takes was looked through before: there are
# directories and files in it, and no links but those of a Python's own directory.
#
# LAYERS       directory of the published layers; LOWERS names roots in it, topmost first, ':' between
# BUILD        directory of this build: new/root (becomes the layer), work, merged
# STAGED       the directory in which they were installed
# PYTHON_HOME  where it stands in the layer
# VERSION      the layer's Python
# MODULES      names of modules that packages bring, where a container has those
# CERTIFICATES files of theirs in whose place the system's list of authorities stands
umask 022
cd "$LAYERS"
upper=$BUILD/new/root
root=$BUILD/merged
site=$PYTHON_HOME/lib/python$VERSION/site-packages

echo aio: taking Python distributions into the layer
chmod -R u+rwX,go+rX,go-w,u-s,g-s "$STAGED"
mkdir -p "$(dirname "$upper$PYTHON_HOME")"
mv "$STAGED" "$upper$PYTHON_HOME"
overlay=volatile,redirect_dir=off,metacopy=off,index=off
rm -rf "$BUILD/work/work"
mount -t overlay overlay -o "$overlay,lowerdir=$LOWERS,upperdir=$upper,workdir=$BUILD/work" "$root"
cd "$root$PYTHON_HOME"

# Directories that distributions bring for /etc: configurations, filters, policies. What the system has
# there stays its own.
for directory in etc/*/; do
	directory=${directory%/}
	if [ -d "$directory" ] && [ ! -e "$root/$directory" ] && [ ! -L "$root/$directory" ]; then
		cp -R "$directory" "$root/etc/"
	fi
done
rm -rf etc share/doc share/man

# Their programs, where everybody looks for programs.
mkdir -p "$root/usr/local/bin"
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

for file in $CERTIFICATES; do
	[ -f "$root$site/$file" ] || { echo "aio: no such file for the list of authorities: $site/$file"; exit 1; }
	ln -sf /etc/ssl/certs/ca-certificates.crt "$root$site/$file"
done
