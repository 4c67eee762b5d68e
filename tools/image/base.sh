# shellcheck shell=bash
# What tools/image/run and tools/image/store share. To be sourced, after tools/debian.sh; sets $base.

image_programs() { # those that are missing
    local programs=(podman buildah crun conmon ip)
    [ -e "$base" ] || programs+=(debootstrap)
    missing "${programs[@]}"
}

image_base() { # build it when it is not in the cache
    [ -e "$base" ] && return
    say 'image: building the base (once; about a minute)'
    build_once tools/image/build "${base%/*}" base.tar || { say 'image: the base cannot be built'; return 1; }
}

image_bundle() { # directory
    say 'image: making a bundle'
    .venv/bin/python -m clove.deploy.bundle "$1" --python 3.11 --machine "$(uname -m)" > /dev/null
}

image_packages='debootstrap podman buildah crun conmon iproute2'
base=${XDG_CACHE_HOME:-$HOME/.cache}/clove/image-$(key_of tools/image/build tools/debian.sh)/base.tar
