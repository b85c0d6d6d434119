# build.sh: sourced by scripts that need the programs. Sets BUILD.
# shellcheck shell=bash

if [ -z "${BUILD:-}" ]; then
    BUILD=build${SANITIZE:+-${SANITIZE//,/-}}
fi

# Runs make quietly; what it said is shown only when it failed.
#
#   build_all TARGET...
build_all() {
    local log=$BUILD/make.log

    mkdir -p "$BUILD"
    if ! make -j "$(nproc)" BUILD="$BUILD" SANITIZE="${SANITIZE:-}" "$@" \
        >"$log" 2>&1; then
        cat "$log" >&2
        printf 'The build failed; the above is also in %s\n' "$log" >&2
        return 1
    fi
}
