#!/bin/sh
# Stands in for py3compile while a layer is built: notes the private directories that a package
# wants compiled, which is done once for all of them at the end.
for argument; do
	case $argument in
	/*) echo "${argument#/}" >>/tmp/aio-compile ;;
	esac
done
