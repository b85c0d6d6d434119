#!/usr/bin/env bash
#
# The Debian package in a fresh Debian with a systemd of its own: installed,
# configured, started, upgraded, stopped, started without systemd, removed,
# purged. Needs root; the first run needs the network, for `root`.

. "$(dirname "$0")/../lib/smoke.sh"
set -u
cd "$(dirname "$0")/../.." || exit 1

# A system needs namespaces, and control groups of its own.
if ! unshare --mount --pid --fork --cgroup --ipc --uts --net \
    mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null; then
    echo "1..0 # SKIP not root, or not allowed to make namespaces"
    exit 0
fi
smoke_init
smoke_photo
root=$stack_dir/root
cache=$BUILD/debian-root.tar
package=$(echo "$BUILD"/darkroom_*.deb)

# On the way out, before smoke_end: process 1 takes the others along.
unshare_pid=
shut_down() {
    if [ -n "$unshare_pid" ]; then
        kill -KILL "$unshare_pid"
        wait "$unshare_pid" 2>/dev/null
    fi
    rm -rf "$root"
    smoke_end
}
trap shut_down EXIT

# inside COMMAND...: in the Debian, booted or not.
inside() {
    if [ -n "$unshare_pid" ]; then
        timeout -k 5 60 nsenter -t "$init_pid" -m -p -n -i -u -C -r -w -- \
            env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
    else
        timeout -k 5 300 chroot "$root" env -i DEBIAN_FRONTEND=noninteractive \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
    fi
}

booted() {
    init_pid=$(cat "/proc/$unshare_pid/task/$unshare_pid/children")
    init_pid=${init_pid// /}
    [ -n "$init_pid" ] && [[ $(inside systemctl is-system-running 2>&1) =~ \
        ^(running|degraded)$ ]]
}

boot() {
    setsid unshare --mount --pid --fork --kill-child=KILL --cgroup --ipc \
        --uts --net tests/deb/boot "$root" </dev/null \
        >"$stack_dir/boot.log" 2>&1 &
    unshare_pid=$!
    stack_until 60 booted
}

healthy() {
    [ "$(inside curl -sk --max-time 5 https://127.0.0.1/healthz)" = ok ]
}

# Does it while requests come all the time; prints how many were refused.
# shellcheck disable=SC2016 # its variables are of the shell inside
refused_during() {
    inside sh -c '
        "$@" >/dev/null 2>&1 &
        n=0
        while [ $n -lt 60 ]; do
            n=$((n + 1))
            curl -sk -o /dev/null -w "%{http_code}\n" --max-time 8 \
                https://127.0.0.1/healthz
        done
        wait' sh "$@" | grep -vcx 200
}

send_photo_inside() {
    inside curl -s --max-time 60 -d '{"file": "/root/photo.jpg", "wait": true}' \
        http://127.0.0.1:8099/sim/photo >/dev/null
    inside curl -s --max-time 60 \
        "http://127.0.0.1:8099/sim/wait?replied=$1&timeout_ms=30000"
}

state_of() {
    inside systemctl is-active "$@" 2>/dev/null | xargs
}

[ -s "$cache" ] || smoke_must tests/deb/root "$cache"
mkdir "$root"
smoke_must tar -C "$root" -xf "$cache"
cp "$package" "$photo" "$BUILD/line-sim" "$root/root/"
mv "$root/root/${photo##*/}" "$root/root/photo.jpg"
conf=$root/etc/darkroom/darkroom.conf

ok "lintian has nothing to say" lintian --allow-root \
    --fail-on error,warning "$package"

# ---- installed, where no systemd runs

inside apt-get -q update >"$stack_dir/apt.log" 2>&1
said=$(inside sh -c 'apt-get -q -y --no-install-recommends install \
    /root/darkroom_*.deb' 2>&1)
is "it installs" $? 0
like "and says what to do" "$said" 'to be configured in /etc/darkroom'
is "its files are whole" "$(inside dpkg --verify darkroom)" ""
is "settings are for its user and nobody else" \
    "$(inside stat -c '%U:%G %a' /etc/darkroom /etc/darkroom/darkroom.conf |
        xargs)" "root:darkroom 750 root:darkroom 640"
is "a worker per core is enabled" "$(inside sh -c \
    'ls /etc/systemd/system/darkroom.target.wants | wc -l')" "$(nproc)"
ok "the manual is there" inside test -s /usr/share/man/man8/darkroom.8.gz

# ---- configured and booted

cat >"$conf" <<EOF
[server]
public_url = https://127.0.0.1
[line]
api_url = http://127.0.0.1:8099
data_api_url = http://127.0.0.1:8099
[channel default]
secret = $stack_secret
access_token = $stack_token
EOF
ok "the settings are sound for its user" inside runuser -u darkroom -- \
    darkroom check --settings --config /etc/darkroom/darkroom.conf
cp "$stack_dir"/{cert,key}.pem "$root/etc/nginx/"
letsencrypt=/etc/letsencrypt/live/bot.example.com
sed -e "s|$letsencrypt/fullchain.pem|cert.pem|" \
    -e "s|$letsencrypt/privkey.pem|key.pem|" \
    "$root/usr/share/darkroom/nginx/darkroom.conf" \
    >"$root/etc/nginx/conf.d/darkroom.conf"
smoke_must boot
is "systemd started all of it" "$(state_of darkroom.target darkroom.socket \
    darkroom@1 nginx)" "active active active active"
ok "the workers answer" stack_until 10 healthy
is "none runs as root" "$(inside ps -o user= -C darkroom | sort -u)" darkroom
inside systemd-run --quiet --unit=line-sim /root/line-sim \
    --listen 127.0.0.1:8099 --webhook-url https://127.0.0.1/webhook \
    --ca-file /etc/nginx/cert.pem --secret "$stack_secret" \
    --access-token "$stack_token"
sim_is_up() {
    inside curl -s http://127.0.0.1:8099/sim/wait?timeout_ms=1
}
stack_until 10 sim_is_up >/dev/null
state=$(send_photo_inside 1)
state_is "a photo is answered" .totals.answered 1
state_is "with a good picture, through nginx" \
    '.totals | [.images_good, .images_bad]' '[1,0]'
state_is_lawful

for path in /readyz /metrics /darkroom/ /darkroom/status.json; do
    is "$path is there" "$(inside curl -sk -o /dev/null -w '%{http_code}' \
        "https://127.0.0.1$path")" 200
done

# ---- restarted, killed, upgraded

is "a restart refuses nothing" \
    "$(refused_during systemctl restart 'darkroom@*')" 0
ok "a reload succeeds" inside systemctl reload 'darkroom@*'
before=$(inside systemctl show -P MainPID darkroom@1)
inside kill -KILL "$before"
replaced() {
    [ "$(state_of darkroom@1)" = active ] &&
        [ "$(inside systemctl show -P MainPID darkroom@1)" != "$before" ]
}
ok "a killed worker is replaced" stack_until 15 replaced
before=$(inside systemctl show -P MainPID darkroom@1)
is "an upgrade refuses nothing" \
    "$(refused_during sh -c 'dpkg -i /root/darkroom_*.deb')" 0
ok "and restarts the workers" stack_until 15 replaced
ok "the settings are kept" grep -q "$stack_secret" "$conf"

# ---- bad settings, and without systemd

echo 'nonsense = 1' >>"$conf"
inside systemctl restart darkroom@1 2>/dev/null
is "bad settings fail, and are not tried again" "$(state_of darkroom@1)" failed
like "the journal says why" \
    "$(inside journalctl --no-pager -t darkroom -n 20)" nonsense
sed -i '/nonsense/d' "$conf"
inside systemctl stop darkroom.target
is "stopping the target stops all" \
    "$(state_of darkroom.socket darkroom@2)" "inactive inactive"
inside systemd-run --quiet --unit=pool \
    -E DARKROOM_CONFIG=/etc/darkroom/darkroom.conf \
    /usr/lib/darkroom/pool -u darkroom -g www-data /run/darkroom/pool.sock 2
ok "the pool without systemd's units answers" stack_until 15 healthy
is "as its user" "$(inside ps -o user= -C darkroom | sort -u)" darkroom
inside systemctl stop pool
state=$(inside systemctl start darkroom.target 2>&1)
ok "and systemd's again" stack_until 15 healthy

# ---- removed, purged

ok "it is removed" inside dpkg -r darkroom
is "nothing of it runs" "$(inside ps -o pid= -C darkroom,darkroom-lab)" ""
ok "settings and state are there" inside test -s /var/lib/darkroom/queue.db \
    -a -s /etc/darkroom/darkroom.conf
ok "it is purged" inside dpkg -P darkroom
rm "$root/etc/nginx/conf.d/darkroom.conf" "$root"/root/darkroom_*.deb
is "no file is left" "$(inside find / -xdev -name '*darkroom*' \
    ! -path '/proc/*' ! -path '/var/cache/apt/*' ! -path '/tmp/systemd-*' \
    ! -path '/var/tmp/systemd-*')" ""
is "no user and no group" "$(inside grep -l darkroom /etc/passwd /etc/group \
    /etc/shadow)" ""
is "no failed unit" "$(inside systemctl --failed --no-legend --plain)" ""

done_testing
