#!/bin/sh
# Stands first in the path of packages' scripts while a layer is built, under the names of tools
# that every package of a kind calls anew (py3compile, update-ca-certificates). Notes that the tool
# was called, and with which absolute paths; its work is done once at the end.
name=${0##*/}
echo . >>"/run/stand-ins/$name.called"
for argument; do
	case $argument in
	/*) echo "${argument#/}" >>"/run/stand-ins/$name.paths" ;;
	esac
done
