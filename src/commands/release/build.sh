# Builds the wheel of one commit, without rights and without a network.
#
# TREE     the checkout, which nothing here can change; COMMIT is in it
# BUILT    where the wheel goes; next to it stands what is built of
umask 022
git clone --quiet --shared --no-checkout "$TREE" tree
cd tree
git checkout --quiet --detach "$COMMIT"
# What is built of the same commit is the same.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
exec /.aio-build/bin/python -m build --wheel --no-isolation --skip-dependency-check --outdir "$BUILT" .
