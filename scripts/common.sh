# shellcheck shell=bash
# What the scripts of this directory share. Sourced from the top of the source tree.

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# Starts the calling script again as root.
become_root() {
    [ "$(id -u)" -eq 0 ] && return
    command -v sudo >/dev/null || die "this needs root, and there is no sudo" "Run it as root."
    local kept=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,SSL_CERT_FILE,SSL_CERT_DIR
    kept+=,CARGO_HOME,CARGO_TARGET_DIR,RUSTUP_HOME,RUSTUP_DIST_SERVER,RUSTUP_UPDATE_ROOT,NO_COLOR
    exec sudo --preserve-env="$kept" "$@"
}

# Under sudo, the build belongs to the user who called it: neither the source tree nor that user's
# cargo directories get files of root's.
builder_home() {
    if [ -n "${SUDO_USER:-}" ]; then getent passwd "$SUDO_USER" | cut -d: -f6; else printf '%s' "$HOME"; fi
}

as_builder() {
    local path
    path="${CARGO_HOME:-$(builder_home)/.cargo}/bin:$PATH"
    if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        runuser -u "$SUDO_USER" -- env HOME="$(builder_home)" PATH="$path" "$@"
    else
        env PATH="$path" "$@"
    fi
}

target_directory() { printf '%s' "${CARGO_TARGET_DIR:-target}"; }

# Both look at text that has been read whole: in a pipe, `grep -q` ends at its first match, and what
# writes to it is then killed, which counts as a failure.
installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) = ii* ]]; }

# Whether apt could install it. `apt-cache show` also succeeds for a name that is only mentioned.
available() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) = *"Candidate: "[!\(]* ]]; }

# Debian and Ubuntu packages with which `aio` is built and run.
need_packages() {
    local wanted missing=() name
    command -v apt-get >/dev/null || die "this host has no apt" \
        "Install by hand: a C compiler, pkg-config, libclang, liblxc's headers, LXC, mmdebstrap," \
        "nftables, uidmap (newuidmap), iproute2, Debian's archive keyring, pip, and Rust."
    wanted=(gcc libc6-dev pkg-config libclang-dev ca-certificates
        lxc mmdebstrap nftables uidmap iproute2 debian-archive-keyring python3-pip)
    command -v journalctl >/dev/null || wanted+=(systemd)
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then wanted+=(apparmor); fi
    for name in "${wanted[@]}"; do installed "$name" || missing+=("$name"); done
    if [ ${#missing[@]} -eq 0 ] && have_lxc_headers; then return; fi

    apt-get update -qq
    # The package with liblxc's headers has had two names.
    if ! have_lxc_headers; then
        for name in lxc-dev liblxc-dev; do
            if available "$name"; then missing+=("$name") && break; fi
        done
    fi
    apt_install "${missing[@]}"
    have_lxc_headers || die "liblxc's headers are not there: apt knows neither lxc-dev nor liblxc-dev" \
        "Do this host's package sources have the sections in which LXC is (Ubuntu: universe)?"
}

# The programs with which packages are made, and with which tests come in from outside.
need_further_packages() {
    local missing=() name
    for name; do installed "$name" || missing+=("$name"); done
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get update -qq
        apt_install "${missing[@]}"
    fi
}

# What makes the Debian package.
need_cargo_deb() {
    as_builder cargo deb --version >/dev/null 2>&1 || as_builder cargo install --locked --quiet cargo-deb
}

have_lxc_headers() { pkg-config --exists lxc 2>/dev/null; }

# Nothing that the user installed is removed for it.
apt_install() {
    say "installing packages: $*"
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends --no-remove "$@" >/dev/null
}

rust_is_new_enough() {
    local wanted have
    wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
    have="$(as_builder cargo --version 2>/dev/null | cut -d' ' -f2)"
    [ -n "$have" ] && [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ]
}

# A Rust toolchain that is there is used; else rustup fetches one.
need_rust() {
    local wanted
    if rust_is_new_enough; then return; fi
    wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
    as_builder rustup --version >/dev/null 2>&1 || install_rustup ||
        die "Rust $wanted or newer is needed, and rustup could not be installed" \
            "Install Rust from https://rustup.rs (as the user who builds), then run this again."
    say "fetching the stable Rust toolchain"
    # An older one that is called stable is brought up to date by the first, not by the second.
    as_builder rustup toolchain install stable && as_builder rustup default stable ||
        die "the Rust toolchain could not be fetched" \
            "Install Rust $wanted or newer as the user who builds, then run this again."
    rust_is_new_enough || die "Rust $wanted or newer is needed; cargo is still $(as_builder cargo --version)" \
        "Is an older cargo before ~/.cargo/bin in the PATH, or another toolchain set for this directory?"
}

# Whether a file is the one whose SHA-256 another file begins with.
has_sum() {
    local sum
    sum="$(sha256sum "$1" | cut -d' ' -f1)"
    [ "$sum" = "$(cut -d' ' -f1 "$2")" ] || { say "$1 is not what was published: $sum"; return 1; }
}

# The distribution's rustup. Debian 12 has none, and it does not go together with rustc as a package:
# then the Rust project's own, for the user who builds, beside whatever is there.
install_rustup() {
    local server=${RUSTUP_UPDATE_ROOT:-https://static.rust-lang.org/rustup} place
    apt-get update -qq
    if available rustup && ! installed rustc && ! installed cargo; then
        apt_install rustup && return
    fi
    installed curl || apt_install curl ca-certificates || return
    say "fetching rustup from $server"
    place="$(mktemp -d)"
    curl -sSfL -o "$place/rustup-init" "$server/dist/$(uname -m)-unknown-linux-gnu/rustup-init" &&
        curl -sSfL -o "$place/sum" "$server/dist/$(uname -m)-unknown-linux-gnu/rustup-init.sha256" &&
        has_sum "$place/rustup-init" "$place/sum" &&
        chmod 0755 "$place" "$place/rustup-init" &&
        as_builder env RUSTUP_INIT_SKIP_PATH_CHECK=yes \
            "$place/rustup-init" -y -q --no-modify-path --default-toolchain none
    local status=$?
    rm -rf "$place"
    return $status
}
