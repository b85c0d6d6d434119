#!/usr/bin/env bash
#
# The Debian package in a fresh Debian with a systemd of its own, as somebody
# new to it meets it: what going-live.md says, command by command, to the first
# photo and the status page; then upgraded, stopped, started without systemd,
# removed, purged; and installed without a package. What the world has and a test has not is stood in for: LINE
# by the simulator, under LINE's names (line.conf), certbot and its authority by
# `certbot`, a person at an editor by `editor`, DNS by /etc/hosts.
#
# Needs root; the first run needs the network, for `root`.

. "$(dirname "$0")/../lib/smoke.sh"
. "$smoke_top/tests/lib/npm.sh"
. "$smoke_top/tests/lib/page.sh"
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
site=https://bot.example.com
sim=http://127.0.0.1:8099
docs=$root/usr/share/doc/darkroom

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

# enter COMMAND...: in the Debian, booted or not. inside: likewise, and nobody
# types anything.
search=PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
enter() {
    if [ -n "$unshare_pid" ]; then
        timeout -k 5 60 nsenter -t "$init_pid" -m -p -n -i -u -C -r -w -- \
            env -i $search "$@"
    else
        timeout -k 5 300 chroot "$root" env -i DEBIAN_FRONTEND=noninteractive \
            $search "$@"
    fi
}

inside() {
    enter "$@" </dev/null
}

# in_network COMMAND...: a program of this machine in the Debian's network, with
# its names.
# shellcheck disable=SC2016 # the variables of the shell that it starts
in_network() {
    nsenter -t "$init_pid" -n unshare --mount sh -c \
        'mount --bind "$0" /etc/hosts && exec "$@"' "$root/etc/hosts" "$@"
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
    [ "$(inside curl -s --max-time 5 $site/healthz)" = ok ]
}

# commands PAGE HEADING: what an installed page says to type, up to the next
# heading.
commands() {
    awk -v heading="$2" '/^#/ { is_here = $0 ~ "^#+ " heading "$" }
        is_here && /^    / { print substr($0, 5) }' "$docs/$1"
}

# follow NAME PAGE HEADING [EXCEPT]: types that into a shell of root's, but for
# the lines that match. Sets `said`.
follow() {
    local text status

    text=$(commands "$2" "$3" | grep -vE "${4:-^#}")
    said=$(inside bash -ec "cd /root; ${text:?}" 2>&1)
    status=$?
    is "$1" $status 0
    [ $status -eq 0 ] || diag "$text"$'\n'"$said"
}

# A reload is over when nginx listens, some time after the command.
listens() {
    inside bash -c '</dev/tcp/127.0.0.1/443' 2>/dev/null
}
nginx_takes_the_site() {
    follow "nginx takes the site" going-live.md '7. nginx' \
        '^(curl|openssl)|-servername'
    ok "and listens" stack_until 10 listens
    follow "which can be looked at" going-live.md '7. nginx' \
        '^(cp|editor|nginx)'
}

# The page has them pasted, one command each.
type_secrets() {
    local what

    for what in "secret $stack_secret" "token $stack_token"; do
        enter bash -c "$(commands going-live.md '6. Settings' |
            grep "/etc/darkroom/${what% *}")" <<<"${what#* }"
    done
}

# Does it while requests come all the time, and some more; prints how many were
# refused.
# shellcheck disable=SC2016 # its variables are of the shell inside
refused_during() {
    inside sh -c '
        "$@" >/dev/null 2>&1 &
        after=0
        while [ $after -lt 10 ]; do
            kill -0 $! 2>/dev/null || after=$((after + 1))
            curl -s --cacert /root/authority/root.pem -o /dev/null \
                -w "%{http_code}\n" --max-time 8 \
                https://bot.example.com/healthz
        done' sh "$@" | grep -vcx 200
}

state_of() {
    inside systemctl is-active "$@" 2>/dev/null | xargs
}

smoke_must npm_install
[ -s "$cache" ] || smoke_must tests/deb/root "$cache"
mkdir "$root"
smoke_must tar -C "$root" -xf "$cache"
mkdir "$root/root/build"
cp "$package" "$root/root/build/"
cp "$BUILD/line-sim" "$root/root/"
cp "$photo" "$root/root/photo.jpg"
cp tests/deb/{certbot,editor} "$root/usr/local/bin/"
echo '127.0.0.1 localhost bot.example.com api.line.me api-data.line.me' \
    >"$root/etc/hosts"
conf=$root/etc/darkroom/darkroom.conf

ok "lintian has nothing to say" lintian --allow-root \
    --fail-on error,warning "$package"

# ---- where no systemd runs, as when an image is made

inside apt-get -q update >"$stack_dir/apt.log" 2>&1
said=$(inside sh -c 'apt-get -q -y --no-install-recommends install \
    /root/build/darkroom_*.deb' 2>&1)
is "it installs where no systemd runs" $? 0
like "and says what to do" "$said" 'to be configured in /etc/darkroom'
ok "and is purged there" inside dpkg -P darkroom

# ---- going-live.md, from 2 to 10

smoke_must boot
# What follows is on the page that the package brings.
docs=$smoke_top/scripts/docs
follow "the name is known" going-live.md '2. DNS'
follow "there is a certificate" going-live.md '3. The certificate' ^apt-get
follow "the package installs" going-live.md '4. darkroom' ^scripts/deps
docs=$root/usr/share/doc/darkroom
like "it says what to do" "$said" 'to be configured in /etc/darkroom'
is "its files are whole" "$(inside dpkg --verify darkroom)" ""
is "settings are for its user and nobody else" \
    "$(inside stat -c '%U:%G %a' /etc/darkroom /etc/darkroom/darkroom.conf |
        xargs)" "root:darkroom 750 root:darkroom 640"
is "a worker per core is enabled" "$(inside sh -c \
    'ls /etc/systemd/system/darkroom.target.wants | wc -l')" "$(nproc)"
is "none is started" "$(inside ps -o pid= -C darkroom)" ""
ok "the manual is there" inside test -s /usr/share/man/man8/darkroom.8.gz
mapfile -t pages < <(find "$root/usr/share/"{,doc/}darkroom -name '*.md')
is "each page's links lead somewhere" \
    "$(tests/smoke/04-docs.t --links "${pages[@]}")" ""

type_secrets
follow "the settings are sound for its user" going-live.md '6. Settings' \
    ^install
like "which it says" "$said" 'settings: ok'
is "nobody else reads the secrets" \
    "$(inside stat -c '%U:%G %a' /etc/darkroom/{secret,token} | xargs)" \
    "root:darkroom 640 root:darkroom 640"

inside certbot certonly --webroot -w /var/www/html -d api.line.me \
    -d api-data.line.me
cp tests/deb/line.conf "$root/etc/nginx/conf.d/"
inside systemd-run --quiet --unit=line-sim /root/line-sim \
    --listen "${sim#http://}" --webhook-url $site/webhook \
    --secret "$stack_secret" --access-token "$stack_token"
ok "LINE is there" stack_until 10 inside curl -s "$sim/sim/wait?timeout_ms=1"
nginx_takes_the_site
like "with its certificate and chain" "$said" 'Verify return code: 0 .ok.'
like "and has nothing to show" "$said" 'HTTP/1.1 404'
follow "it starts" going-live.md '8. Start' '^systemctl enable'
like "and answers" "$said" $'(^|\n)ok'
is "systemd started all of it" "$(state_of darkroom.target darkroom.socket \
    darkroom@1 nginx)" "active active active active"
is "none runs as root" "$(inside ps -o user= -C darkroom | sort -u)" darkroom

# The channel had another bot before.
inside curl -s -X PUT -H "Authorization: Bearer $stack_token" \
    -H 'Content-Type: application/json' -d '{"endpoint":"https://a.example/"}' \
    https://api.line.me/v2/bot/channel/webhook/endpoint >/dev/null
check=(inside darkroom check)
said=$("${check[@]}" 2>&1)
is "without the webhook, check fails" $? 1
like "and says what to do" "$said" '-> darkroom webhook set'
follow "the webhook is set" going-live.md '9. The webhook'
like "and LINE's call of it is answered" "$said" 'HTTP 200'

follow "check is content" going-live.md '10. Does it work[?]'
checked=$(grep -c '^pass' <<<"$said")
is "nothing fails, nothing is left out" \
    "$(grep -E '^(fail|skip)' <<<"$said")" ""
like "and the sum is told" "$said" "$checked passed, 0 failed, 0 skipped"
is "so it says to programs" "$("${check[@]}" --json | jq -c '[.ok,
    (.checks | length), all(.checks[]; .result == "pass")]')" \
    "[true,$checked,true]"

# ---- the first photo, on the status page

page_url=$site
page_sim_url=$sim
page_photos=/root/photo.jpg
page_screens=$stack_dir/screens
mkdir -p "$page_screens" "$BUILD/screens"
page first in_network
ok "the screenshot is kept" cp "$page_screens/first.png" \
    "$BUILD/screens/package.png"
state=$(inside curl -s "$sim/sim/wait?replied=1&timeout_ms=30000")
state_is "the photo is answered" .totals.answered 1
state_is "with a good picture" '.totals | [.images_good, .images_bad]' '[1,0]'
state_is_lawful

# ---- a look around

message=$(jq -r '.photos[0].message_id' <<<"$state")
darkroom=(inside darkroom)
like "it is in the list" "$("${darkroom[@]}" jobs list)" "$message.*replied"
like "it has a receipt" "$("${darkroom[@]}" jobs show "$message")" replied
like "the janitor would leave it" "$("${darkroom[@]}" janitor --dry-run)" \
    '^0 files beyond retention, 0 leftovers'
said=$(inside journalctl --no-pager -t darkroom)
for event in accepted fetched published replied; do
    like "the journal has it $event" "$said" "event=$event job=$message"
done
is "and no secret" "$(grep -cE "$stack_secret|$stack_token" <<<"$said")" 0
follow "it is ready, for cron" watching.md 'For programs'
for path in /metrics /darkroom/status.json; do
    is "$path is there" "$(inside curl -s -o /dev/null -w '%{http_code}' \
        $site$path)" 200
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
    "$(refused_during sh -c 'dpkg -i /root/build/darkroom_*.deb')" 0
ok "and restarts the workers" stack_until 15 replaced
ok "the settings are kept" grep -q "^public_url = $site" "$conf"

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
inside systemd-run --quiet --unit=pool -p KillMode=mixed bash -ec \
    "$(commands going-live.md 'Without systemd' | sed '1,/install -d/d')"
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
rm "$root/etc/nginx/conf.d/darkroom.conf" "$root"/root/build/darkroom_*.deb
is "no file is left" "$(inside find / -xdev -name '*darkroom*' \
    ! -path '/proc/*' ! -path '/var/cache/apt/*' ! -path '/tmp/systemd-*' \
    ! -path '/var/tmp/systemd-*')" ""
is "no user and no group" "$(inside grep -l darkroom /etc/passwd /etc/group \
    /etc/shadow)" ""
is "no failed unit" "$(inside systemctl --failed --no-legend --plain)" ""

# ---- without a package: what `make install` does, on the same way

docs=$root/usr/local/share/doc/darkroom
mkdir -p "$root/root/checkout/build"
cp -r scripts nginx static fcgi README.md LICENSE "$root/root/checkout/"
cp "$BUILD"/darkroom{,-lab} "$root/root/checkout/build/"
install=(inside /root/checkout/scripts/install)
ok "a checkout installs" "${install[@]}"
type_secrets
follow "the settings are sound" going-live.md '6. Settings' ^install
nginx_takes_the_site
follow "it starts" going-live.md '8. Start'
like "and answers" "$said" $'(^|\n)ok'
follow "check is content" going-live.md '10. Does it work[?]' 'jobs list'
like "of all that it looks at" "$said" \
    $'\n'"$checked passed, 0 failed, 0 skipped"
follow "it is stopped" going-live.md 'Without a package' '^(scripts|make)'
ok "it is uninstalled" "${install[@]}" --remove
is "but for what is the user's" "$(inside find /usr /etc -path '*darkroom*' \
    ! -type d ! -path '/etc/nginx/*' -printf '%f\n' | sort | xargs)" \
    "darkroom.conf secret token"

done_testing
