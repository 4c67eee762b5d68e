# shellcheck shell=bash
# What tools/vm and tools/fresh-root share: to say, to skip, to install what is missing, to build a
# Debian root, and to keep what was built outside the tree. To be sourced; sets nothing by itself.

PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

without_addresses() { # a filter: logs of package managers name mirrors
    sed -E 's#[a-z+]+://[^ ]*#(address)#g'
}

skip() { # who, why, what would help, set when that is a failure
    say "$1: $2"
    say "$1: $3"
    echo "0 passed, 0 failed, skipped: $2"
    [ -z "$4" ] || exit 1
    exit 0
}

missing() { # of these programs
    local program
    for program; do command -v "$program" > /dev/null || printf '%s ' "$program"; done
}

install_packages() { # who, packages...; where we may
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 0
    say "$1: installing ${*:2} ..."
    local output
    output=$({ apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "${@:2}"; } 2>&1 < /dev/null) ||
        tail -n 5 <<< "$output" | without_addresses >&2
}

key_of() { # files...: what is built from them has this in its name
    cat "$@" | sha256sum | cut -c 1-16
}

build_once() { # builder, directory, file that it makes there; the directories of earlier keys are removed
    local old
    [ ! -e "$2/$3" ] || return 0
    mkdir -p "$2"
    (
        flock 9 # two runs at once build it once
        [ -e "$2/$3" ] || "$1" "$2"
    ) 9> "$2/lock" || { rm -rf --one-file-system "$2"; return 1; }
    for old in "${2%-*}"-*; do
        [ "$old" = "$2" ] || rm -rf --one-file-system "$old"
    done
}

# For the builders, which set $log.

step() { # what, command...; its output only when it fails, and never an address
    printf '  %-44s' "$1" >&2
    local begun=$SECONDS
    if "${@:2}" > "$log" 2>&1; then
        printf '%4d s\n' $((SECONDS - begun)) >&2
    else
        printf ' FAILED\n' >&2
        tail -n 40 "$log" | without_addresses >&2
        return 1
    fi
}

debian() { # directory, packages (with commas); the suite is $suite
    local options=(--variant=minbase "--include=$2") keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
    [ ! -e "$keyring" ] || options+=("--keyring=$keyring")
    # Where this host's own apt gets Debian; debootstrap's own mirror where it gets something else.
    # shellcheck disable=SC2016  # apt's own variables
    mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' "Codename: $suite" 2> /dev/null | head -n 1)
    debootstrap "${options[@]}" "$suite" "$1" ${mirror:+"$mirror"}
}
