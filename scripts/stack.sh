# stack.sh: a whole darkroom in a directory of its own: nginx with TLS, the
# pool, and the simulator of the LINE platform. Sourced by scripts/run and the
# smoke tests.
#
#   stack_init DIR         directory, certificate; sets the variables below
#   stack_nginx [PORT]     starts nginx, on a free port unless one is given
#   stack_sim [OPTION...]  starts the simulator
#   stack_pool [WORKERS]   starts the pool and waits until it answers
#   stack_stop             stops what is running of these, last started first
#
# Every function returns non-zero, with the reason on stderr, if it failed.
# The processes are children of the shell that calls, each the leader of a
# session of its own, so that it can be stopped with all its descendants and
# does not see the terminal's Ctrl-C. They get SIGTERM from the kernel if the
# shell dies (setpriv), so nothing survives a killed script either.
#
# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for the caller

stack_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$(realpath -m "${BUILD:-$stack_top/build}")
export BUILD

# Set by the functions above, for the caller.
stack_dir=     # absolute
stack_port=    # of nginx
stack_url=     # https://127.0.0.1:PORT
stack_sim_url= # http://127.0.0.1:PORT

# Settings of a simulated channel; an environment that has some is used.
stack_secret=${LINE_CHANNEL_SECRET:-0f1e2d3c4b5a69788796a5b4c3d2e1f0}
stack_token=${LINE_CHANNEL_ACCESS_TOKEN:-simulated-access-token}

stack_stop_s=15 # a worker may take 8 s to finish what it has in hand
declare -A stack_pids=()
stack_order=()
stack_pool_prefix=()  # a command and its arguments that starts the pool
stack_pool_options=() # of scripts/pool
stack_nginx_user=root # of nginx's workers, if root starts it

# stack_until SECONDS COMMAND...: polls until it succeeds; false if it did not.
stack_until() {
    local deadline=$((SECONDS + $1))

    shift
    until "$@"; do
        [ $SECONDS -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

# stack_spawn NAME COMMAND...: runs it in the stack's directory, with what it
# writes in NAME.log and none of the shell's other files open.
stack_spawn() {
    local name=$1

    shift
    (
        cd "$stack_dir" || exit 1
        for fd in "/proc/$BASHPID/fd"/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || exec {fd}>&-
        done
        exec setsid setpriv --pdeathsig TERM -- "$@" \
            </dev/null >>"$name.log" 2>&1
    ) &
    stack_pids[$name]=$!
    stack_order+=("$name")
}

# stack_family PID: its number and those of its descendants, also of those that
# lead sessions of their own (the lab), each as PID/START: the start tells a
# process from a later one of that number. Zombies are not counted.
stack_family() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
        {
            pid = $1
            sub(/^.*\) /, "") # the name may have spaces (proc(5))
            if ($1 == "Z")
                next
            parent[pid] = $2
            start[pid] = $20
        }
        END {
            for (pid in parent) {
                up = pid
                while (up != root && up in parent)
                    up = parent[up]
                if (up == root)
                    print pid "/" start[pid]
            }
        }'
}

# The workers of the pool, one pid a line: what multiwatch has started.
stack_workers() {
    pgrep -x darkroom --parent \
        "$(pgrep -x multiwatch --parent "${stack_pids[pool]}")"
}

# Those of the family named that are still there.
stack_left() {
    local each

    for each in "$@"; do
        stack_family "${each%/*}" | grep -xF "$each"
    done
}

stack_gone() {
    [ -z "$(stack_left "$@")" ]
}

stack_dead() {
    [ -z "$(stack_family "${stack_pids[$1]}")" ]
}

# stack_end NAME: SIGTERM, time to finish, then SIGKILL to what is left of it
# and its descendants. False if it came to that.
stack_end() {
    local pid=${stack_pids[$1]:-} family status=0

    [ -n "$pid" ] || return 0
    mapfile -t family < <(stack_family "$pid")
    kill -TERM "$pid" 2>/dev/null || true
    stack_until $stack_stop_s stack_gone "${family[@]}" || {
        echo "stack: $1 did not stop in $stack_stop_s s, killing it" >&2
        stack_left "${family[@]}" | cut -d/ -f1 | xargs -r kill -KILL
        status=1
    }
    wait "$pid" 2>/dev/null || true
    unset "stack_pids[$1]"
    return $status
}

stack_stop() {
    local i status=0

    for ((i = ${#stack_order[@]} - 1; i >= 0; i--)); do
        stack_end "${stack_order[i]}" || status=1
    done
    stack_order=()
    return $status
}

stack_init() {
    mkdir -p "$1/tmp" "$1/state"
    stack_dir=$(cd "$1" && pwd)
    if ! openssl x509 -checkend 86400 -noout -in "$stack_dir/cert.pem" \
        >/dev/null 2>&1; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
            -nodes -days 30 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
            -keyout "$stack_dir/key.pem" -out "$stack_dir/cert.pem" \
            >"$stack_dir/openssl.log" 2>&1 || {
            cat "$stack_dir/openssl.log" >&2
            return 1
        }
    fi
}

# Writes nginx.conf for a port, and copies of the files it includes. Relative
# names keep the socket's path short, wherever the checkout lies.
stack_nginx_conf() {
    local user='' file

    # Root's nginx would serve as www-data, which can not enter /root.
    [ "$(id -u)" -ne 0 ] || user="user $stack_nginx_user;"
    for file in "$stack_top"/nginx/darkroom-*.conf; do
        sed 's,unix:/run/darkroom/,unix:,' "$file" \
            >"$stack_dir/${file##*/}"
    done
    sed -e "s|@PORT@|$1|" -e "s|@USER@|$user|" \
        -e "s|@PUBLIC@|$stack_dir/state/public|" \
        -e "s|@STATIC@|$stack_top/static|" \
        "$stack_top/nginx/local.conf.in" >"$stack_dir/nginx.conf"
}

stack_nginx_settled() {
    [ -s "$stack_dir/nginx.pid" ] || stack_dead nginx ||
        grep -q 'bind() .* failed' "$stack_dir/nginx.log"
}

# Binding is the test of whether a port is free, so two stacks that start at
# once never share one. Ports below 32768 are not handed out to outgoing
# connections.
stack_nginx() {
    local port

    for _ in {1..20}; do
        port=${1:-$((20000 + RANDOM % 12000))}
        stack_nginx_conf "$port"
        rm -f "$stack_dir/nginx.pid"
        : >"$stack_dir/nginx.log"
        stack_spawn nginx nginx -p . -c nginx.conf -e nginx.log
        stack_until 10 stack_nginx_settled || true
        if [ -s "$stack_dir/nginx.pid" ]; then
            stack_port=$port
            stack_url=https://127.0.0.1:$port
            return 0
        fi
        stack_end nginx
        grep -q 'bind() .* failed' "$stack_dir/nginx.log" || break
        [ -z "${1:-}" ] || break
    done
    echo "stack: nginx does not start:" >&2
    grep -E 'emerg|error' "$stack_dir/nginx.log" | head -n 3 >&2
    return 1
}

stack_sim_settled() {
    [ -s "$stack_dir/sim.port" ] || stack_dead sim
}

stack_sim() {
    rm -f "$stack_dir/sim.port"
    stack_spawn sim "$BUILD/line-sim" --listen 127.0.0.1:0 \
        --port-file sim.port --webhook-url "$stack_url/webhook" \
        --ca-file cert.pem --secret "$stack_secret" \
        --access-token "$stack_token" --log sim.jsonl "$@"
    stack_until 10 stack_sim_settled || true
    [ -s "$stack_dir/sim.port" ] || {
        echo "stack: the simulator does not start:" >&2
        tail -n 5 "$stack_dir/sim.log" >&2
        return 1
    }
    stack_sim_url=http://127.0.0.1:$(cat "$stack_dir/sim.port")
}

# stack_curl PATH [OPTION...]: asks nginx.
stack_curl() {
    local path=$1

    shift
    curl --silent --max-time 10 --cacert "$stack_dir/cert.pem" "$@" \
        "$stack_url$path"
}

stack_pool_answers() {
    [ "$(stack_curl /healthz)" = ok ]
}

stack_pool_settled() {
    stack_pool_answers || stack_dead pool ||
        grep -q 'level=error' "$stack_dir/pool.log"
}

# The environment of the pool. With a simulator that is its platform; without
# one the environment names the channel, and LINE is the platform.
stack_environment() {
    export DARKROOM_CONFIG=${DARKROOM_CONFIG:-} # not an installed one's
    export DARKROOM_SERVER_STATE_DIR=$stack_dir/state
    export PUBLIC_URL=${PUBLIC_URL:-$stack_url}
    export LINE_CHANNEL_SECRET=$stack_secret
    export LINE_CHANNEL_ACCESS_TOKEN=$stack_token
    [ -z "$stack_sim_url" ] || {
        export DARKROOM_LINE_API_URL=$stack_sim_url
        export DARKROOM_LINE_DATA_API_URL=$stack_sim_url
    }
}

stack_pool() {
    stack_environment
    stack_spawn pool "${stack_pool_prefix[@]}" \
        "$stack_top/scripts/pool" "${stack_pool_options[@]}" pool.sock "$@"
    stack_until 15 stack_pool_settled || true
    stack_pool_answers || {
        echo "stack: the pool does not answer:" >&2
        tail -n 8 "$stack_dir/pool.log" >&2
        return 1
    }
}
