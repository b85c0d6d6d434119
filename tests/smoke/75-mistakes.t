#!/usr/bin/env bash
#
# Eleven mistakes that people make when they set a bot up. Each is named by
# `darkroom check`, or by the log of what does not start, in words that say
# what to do. One section each; between them everything works.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_start 1
smoke_photo
export DARKROOM_LINE_CA_FILE=$stack_dir/cert.pem

# check [OPTION...]: sets `said` and `status`.
check() {
    said=$(timeout 60 "$BUILD/darkroom" check "$@" 2>&1 </dev/null)
    status=$?
}

# names WHAT LINE PATTERN ADVICE: the last check failed, in this line, for this
# reason, with this advice.
names() {
    local found

    is "$1: check fails" $status 1
    found=$(grep -A 1 "^fail  $2 " <<<"$said")
    like "$1: it says what is wrong" "$found" "$3"
    like "$1: and what to do" "${found##*->}" "$4"
}

check
is "all is well" $status 0

# ---- 1: wrong secret

# The workers and this check agree on it; only LINE knows better.
stack_end pool
right=$stack_secret
stack_secret=ffffffffffffffffffffffffffffffff
smoke_must stack_pool 1
check
names "a wrong secret" "webhook test" "HTTP 401" \
    "secret is not LINE's: copy it from Basic settings"
is "a wrong secret: nothing else fails" "$(grep -c '^fail' <<<"$said")" 1
is "a photo is refused" "$(send_photo "$photo" |
    jq -r '.photos[0].ack_status')" 401
like "the log says why, too" \
    "$(grep -m 1 'level=warn' "$stack_dir/pool.log")" "secret|signature"
stack_end pool
stack_secret=$right
smoke_must stack_pool 1

# ---- 2: wrong token

LINE_CHANNEL_ACCESS_TOKEN=wrong check
names "a wrong token" token "access token refused" \
    "issue a channel access token in LINE's console"
like "a wrong token: whose it is is not known" "$said" "skip  destination "

# ---- 3: a public URL without its TLS chain

# An authority, an intermediate, and a server's certificate alone.
chain() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -days 2 -subj "/CN=root" -keyout root.key -out root.pem &&
        printf 'basicConstraints=critical,CA:TRUE\n' >ca.ext &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj "/CN=intermediate" -keyout middle.key -out middle.csr &&
        openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key \
            -CAcreateserial -days 2 -extfile ca.ext -out middle.pem &&
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >leaf.ext &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj "/CN=localhost" -keyout leaf.key -out leaf.csr &&
        openssl x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key \
            -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem
}
(cd "$stack_dir" && chain) >"$stack_dir/chain.log" 2>&1
ok "certificates are made" [ -s "$stack_dir/leaf.pem" ]
fingerprint() {
    openssl x509 -noout -fingerprint
}
nginx_is_new() {
    openssl s_client -connect "127.0.0.1:$stack_port" </dev/null 2>/dev/null |
        fingerprint | cmp -s - <(fingerprint <"$stack_dir/cert.pem")
}
nginx_again() {
    kill -HUP "${stack_pids[nginx]}"
    stack_until 10 nginx_is_new
}
cp "$stack_dir/cert.pem" "$stack_dir/cert.good"
cp "$stack_dir/key.pem" "$stack_dir/key.good"
cp "$stack_dir/leaf.pem" "$stack_dir/cert.pem"
cp "$stack_dir/leaf.key" "$stack_dir/key.pem"
ok "nginx sends the server's certificate alone" nginx_again
DARKROOM_LINE_CA_FILE=$stack_dir/root.pem check
names "no TLS chain" published "certificate" "fullchain.pem, not cert.pem"
cat "$stack_dir/leaf.pem" "$stack_dir/middle.pem" >"$stack_dir/cert.pem"
kill -HUP "${stack_pids[nginx]}"
whole_chain() {
    DARKROOM_LINE_CA_FILE=$stack_dir/root.pem check
    grep -q '^pass  published' <<<"$said"
}
ok "with the chain it passes" stack_until 10 whole_chain
cp "$stack_dir/cert.good" "$stack_dir/cert.pem"
cp "$stack_dir/key.good" "$stack_dir/key.pem"
ok "nginx is as before" nginx_again

# ---- 4: static directory not readable by nginx

if [ "$(id -u)" -eq 0 ]; then
    stack_end nginx
    stack_nginx_user=www-data
    chmod o+x "${TMPDIR:-/tmp}" "$stack_dir"
    if runuser -u www-data -- test -x "$stack_dir"; then
        stack_pool_options=(-g www-data)
        stack_end pool
        smoke_must stack_nginx "$stack_port"
        smoke_must stack_pool 1
        chmod 700 "$stack_dir/state"
        check
        names "a closed directory" published "HTTP 403" \
            "nginx may not enter '$stack_dir/state' \(mode 0700\): chmod o\+x"
        chmod 755 "$stack_dir/state"
        check
        like "opened, it is served" "$said" "pass  published"
    else
        diag "not run: www-data cannot enter $stack_dir"
        stack_nginx_user=root
        smoke_must stack_nginx "$stack_port"
    fi
else
    diag "not run: only root can have an nginx of another user"
fi

# ---- 5: webhook URL of another host, and one that is not in use

"$BUILD/darkroom" webhook set --url https://old.example.com/webhook >/dev/null
check
names "a webhook of another host" webhook \
    "LINE calls https://old.example.com/webhook and not $stack_url/webhook" \
    "darkroom webhook set"
"$BUILD/darkroom" webhook set >/dev/null
sim_post behaviour '{"webhook_active": false}' >/dev/null
check
names "a webhook that is off" webhook "does not use it" \
    "switch 'Use webhook' on"
sim_post behaviour '{"webhook_active": true}' >/dev/null
check
PUBLIC_URL=https://darkroom.invalid check
names "a name without an address" published "resolve host" "does DNS have it"
"$BUILD/darkroom" webhook set >/dev/null
check
is "now it is right" $status 0

# ---- 6: the clock is off

# As a machine sees LINE that is an hour behind.
cat >"$stack_dir/late.py" <<'END'
import http.server, os, time
from email.utils import formatdate

class Line(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response_only(401)
        self.send_header("Date", formatdate(time.time() + 3600, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Line)
with open("late.part", "w") as f:
    f.write(str(server.server_port))
os.rename("late.part", "late.port")
server.serve_forever()
END
stack_spawn late python3 late.py
ok "LINE with another clock" stack_until 10 [ -s "$stack_dir/late.port" ]
DARKROOM_LINE_API_URL=http://127.0.0.1:$(cat "$stack_dir/late.port") check
names "a clock that is off" clock "clock is 3(600|599|601) s behind LINE's" \
    "timedatectl set-ntp true"
stack_end late

# ---- 7: disk full

small=$stack_dir/small
mkdir "$small"
if [ "$(id -u)" -eq 0 ] &&
    mount -t tmpfs -o size=8m tmpfs "$small" 2>/dev/null; then
    DARKROOM_SERVER_STATE_DIR=$small/state DARKROOM_STORE_URL=dir:$small check
    umount "$small"
    names "a full disk" disk "less than 64 MB" "free some: until then .* 503"
else
    diag "not run: a small disk cannot be mounted here"
fi

# ---- 8: two channels with one secret

DARKROOM_CHANNEL_SHOP_SECRET=$stack_secret \
    DARKROOM_CHANNEL_SHOP_ACCESS_TOKEN=other check --offline
is "one secret for two: check fails" $status 1
like "it says which two" "$said" "channels (default|shop) and (default|shop) \
have the same secret"
like "and what to do" "$said" "a secret .* of its own in LINE's console"
DARKROOM_CHANNEL_SHOP_SECRET=0123 \
    DARKROOM_CHANNEL_SHOP_ACCESS_TOKEN=$stack_token check
like "one token for two is the same bot" "$said" "same access token"

# A file that all may read, in directories that all may enter.
open_dir=$(mktemp -d /tmp/darkroom.XXXXXX) # TMPDIR may be closed
chmod 755 "$open_dir"
printf '%s\n' '[channel default]' "secret = $stack_secret" \
    "access_token_file = $open_dir/token" >"$open_dir/conf"
printf '%s\n' "$stack_token" >"$open_dir/token"
chmod 644 "$open_dir"/*
open_check() {
    (
        unset LINE_CHANNEL_SECRET LINE_CHANNEL_ACCESS_TOKEN
        exec timeout 60 "$BUILD/darkroom" check --offline \
            --config "$open_dir/conf" 2>&1
    )
}
said=$(open_check)
is "secrets that all may read are named" "$(grep -c \
    "^fail  secrets .*every user of this machine may read" <<<"$said")" 2
like "and what to do" "$said" "-> chmod o= '$open_dir/token'"
ok "no secret is told" [ "${said/$stack_secret/}" = "$said" ]
chmod 640 "$open_dir"/*
like "closed, they pass" "$(open_check)" "^pass  secrets"
rm -r "$open_dir"

# ---- 9: port taken

stack_end nginx
cat >"$stack_dir/taken.py" <<'END'
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
open("taken.up", "w").close()
while True:
    s.accept()[0].close()
END
stack_spawn taken python3 taken.py "$stack_port"
ok "another program takes the port" stack_until 10 [ -e "$stack_dir/taken.up" ]
said_by_nginx=$(stack_nginx "$stack_port" 2>&1)
ok "nginx does not start" [ $? -ne 0 ]
like "and says why" "$said_by_nginx" "Address already in use"
check
names "a port that is taken" published "$stack_url" \
    "'Address already in use' in its log: ss -ltnp names who has it"
stack_end taken
smoke_must stack_nginx "$stack_port"

# Workers that hang, behind an nginx that does not.
mapfile -t family < <(stack_family "${stack_pids[pool]}")
kill -STOP "${family[@]%/*}"
check
kill -CONT "${family[@]%/*}"
names "workers that hang" workers "timed out|HTTP 504" \
    "nginx (answers|runs) and the workers"

# ---- 10: a stale socket

mapfile -t family < <(stack_family "${stack_pids[pool]}")
# First: it would replace a dead worker.
kill -KILL "$(pgrep -x multiwatch --parent "${stack_pids[pool]}")"
kill -KILL "${family[@]%/*}" 2>/dev/null
ok "the pool is killed" stack_until 5 stack_gone "${family[@]}"
ok "its socket is left" [ -S "$stack_dir/pool.sock" ]
check
names "a stale socket" workers "HTTP 502" \
    "workers do not answer: start them; .* it is stale: restart them"
smoke_must stack_pool 1
check
is "a new pool takes its place" $status 0

# ---- 11: the secret of one channel with the token of another

# Users write to the one bot, and LINE knows the token as the other's: what it
# sends for that one is signed with a secret of its own.
other_sim() {
    stack_spawn other "$BUILD/line-sim" --listen 127.0.0.1:0 \
        --port-file other.port --webhook-url "$stack_url/webhook" \
        --ca-file cert.pem --secret 00112233445566778899aabbccddeeff \
        --access-token another --destination "$1"
    stack_until 10 [ -s "$stack_dir/other.port" ]
}
check_by_other() {
    DARKROOM_LINE_API_URL=http://127.0.0.1:$(<"$stack_dir/other.port") \
        LINE_CHANNEL_ACCESS_TOKEN=another check
}
bot=$(curl -s -H "Authorization: Bearer $stack_token" \
    "$stack_sim_url/v2/bot/info" | jq -r .userId)
other=Uffffffffffffffff0000000000000000
ok "LINE has another bot" other_sim $other
check_by_other
names "secret and token of two bots" destination \
    "webhooks come for $bot, the token is of bot $other" \
    "of two different channels: take both from one channel's page"
names "secret and token of two bots" "webhook test" "HTTP 401" \
    "secret is not LINE's"

# Two secrets are known while one is replaced. If they are of two bots, webhooks
# of both are taken.
stack_end pool
stack_secret="$stack_secret,00112233445566778899aabbccddeeff"
smoke_must stack_pool 1
check_by_other
is "LINE's test tells whose webhooks come now" \
    "$(grep -c '^pass  destination' <<<"$said")" 1
ok "the log tells that this changed" wait_log 5 "event=destination_changed"
is "without an id in full" "$(log_count "$bot|$other")" 0
check
like "and back" "$said" "pass  destination "

done_testing
