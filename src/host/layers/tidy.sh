# Makes installed Python distributions fit for a layer, without rights and without a network.
#
# HOME_DIRECTORY  where they are; VERSION is the Python, JOBS how many processes compile
# KEEP_TESTS      packages whose tests stay
umask 022
cd "$HOME_DIRECTORY"
site=$HOME_DIRECTORY/lib/python$VERSION/site-packages
rm -rf .aio .lock .gitignore CACHEDIR.TAG
rm -f bin/activate* bin/deactivate* bin/pydoc* bin/uv bin/uvx
# Tests are a third of all, and hardly a service imports them.
for package in $KEEP_TESTS; do
	[ ! -d "$site/$package/tests" ] || mv "$site/$package/tests" "$site/$package/.tests"
done
find "$site" -type d -name tests -prune -exec rm -rf {} +
for package in $KEEP_TESTS; do
	[ ! -d "$site/$package/.tests" ] || mv "$site/$package/.tests" "$site/$package/tests"
done
# By the system's own Python, and with nothing of theirs loaded. Its own `-j` wants shared memory. A file
# that does not compile (a template, another version's syntax) is nobody's failure; that none does is.
find "$site" -mindepth 1 -maxdepth 1 -print0 |
	xargs -0 -n 8 -P "$JOBS" "/usr/bin/python$VERSION" -I -S -m compileall -qq || [ $? -eq 123 ]
[ -n "$(find "$site" -name '*.pyc' -print -quit)" ]
