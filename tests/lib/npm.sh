# npm.sh: the packages from npm that tests need, as tests/npm pins them. Sourced
# after smoke.sh.
#
#   smoke_must npm_install     sets npm_modules
#
# They are kept in $BUILD for the next run, and installed by the first test that
# comes; the others wait for it.
#
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # smoke.sh has smoke_top; the caller uses it

npm_modules=

npm_install() {
    local pinned=$smoke_top/tests/npm into=$BUILD/npm

    npm_modules=$into/node_modules
    mkdir -p "$into" || return 1
    (
        flock 9 || exit 1
        cmp -s "$pinned/package-lock.json" "$into/installed.json" && exit
        cp "$pinned"/*.json "$into" || exit 1
        cd "$into" || exit 1
        npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1 || {
            diag "npm cannot install what tests/npm names:" \
                "$(tail -n 3 npm.log)"
            exit 1
        }
        cp package-lock.json installed.json
    ) 9>"$into/lock"
}
