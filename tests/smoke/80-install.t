#!/usr/bin/env bash
#
# make install and uninstall, into a directory: everything is there and fits
# together, settings are not overwritten, and nothing is left.

. "$(dirname "$0")/../lib/smoke.sh"
set -u
cd "$(dirname "$0")/../.." || exit 1

smoke_init
root=$stack_dir/root
conf=$root/etc/darkroom/darkroom.conf

# install_into ROOT [OPTION]: as a package would be made.
install_into() {
    DESTDIR=$1 PREFIX=/usr SYSCONFDIR=/etc scripts/install "${@:2}"
}

ok "it installs" install_into "$root"
is "what it says, and nothing else" \
    "$(cd "$root" && find . ! -type d | sed 's/^\.//' | LC_ALL=C sort)" \
    "$(install_into "$root" --list | LC_ALL=C sort)"
mapfile -t pages < <(find "$root" -name '*.md')
is "each page's links lead somewhere" \
    "$(tests/smoke/04-docs.t --links "${pages[@]}")" ""
like "and there are such" "$(cat "${pages[@]}")" '\]\([a-z./]+/README\.md\)'
ok "the manual is found" man -M "$root/usr/share/man" -w 5 darkroom.conf
is "programs can be run, settings are nobody else's" \
    "$(stat -c %a "$root/usr/lib/darkroom/darkroom" "$conf" | xargs)" "755 640"
ok "the program runs by its link" "$root/usr/bin/darkroom" version
smoke_photo
ok "and finds the lab" "$root/usr/bin/darkroom" convert "$photo" \
    "$stack_dir/photo.png"

is "make passes on what it is given" "$(make -s install uninstall \
    "DESTDIR=$stack_dir/a ro'ot" PREFIX=/usr 2>&1)" ""
is "and takes all of it away" \
    "$(find "$stack_dir/a ro'ot" -type f | wc -l)" 0
for prefix in usr "/opt/dark room" '/a|b' '/a&b' '/a"b'; do
    said=$(DESTDIR=$stack_dir/odd PREFIX=$prefix scripts/install 2>&1)
    like "PREFIX=$prefix is refused" "$said" "an absolute path of"
done
ok "before anything is installed" [ ! -e "$stack_dir/odd" ]

before=$(cd "$root" && find . ! -type d -exec sha256sum {} +)
ok "it installs again" install_into "$root"
is "which changes nothing" \
    "$(cd "$root" && find . ! -type d -exec sha256sum {} +)" "$before"

echo '# mine' >>"$conf"
said=$(install_into "$root" 2>&1)
like "changed settings are kept" "$(tail -n 1 "$conf")" '^# mine$'
like "which it says" "$said" "darkroom.conf is kept.*darkroom.conf.new"
ok "the new ones are put beside them" cmp scripts/darkroom.conf "$conf.new"
ok "it uninstalls" install_into "$root" --remove
is "all but the changed settings" "$(find "$root" ! -type d)" "$conf"
sed -i '$d' "$conf"
ok "it uninstalls again" install_into "$root" --remove
is "nothing is left" "$(find "$root" ! -type d -o -name '*darkroom*')" ""

# The rest is tried where it lies: a prefix that can be looked into.
PREFIX=$stack_dir/usr SYSCONFDIR=$stack_dir/etc DESTDIR=/ \
    ok "another prefix" scripts/install
is "has its own directories in every text" "$(grep -rIE \
    '(^|[^a-zA-Z0-9_])/(usr/(lib|share)|etc)/darkroom' \
    "$stack_dir/usr/lib" "$stack_dir/usr/share" --exclude-dir=doc)" ""
units=$stack_dir/usr/lib/systemd/system
ok "systemd has nothing to say about the units" env \
    SYSTEMD_UNIT_PATH="$units:/usr/lib/systemd/system" systemd-analyze \
    verify --man=no "$units"/darkroom{.socket,@1.service,.target}

# The worker needs a network, a local socket, and capset(2) for the labs.
said=$(SYSTEMD_COLORS=0 systemd-analyze security --offline=true --no-pager \
    "$units/darkroom@.service" 2>&1)
is "its exposure is what the README says" \
    "$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' <<<"$said")" \
    "$(sed -n 's/.*exposure level of \*\*\([0-9.]*\)\*\*.*/\1/p' README.md)"

ok "systemd-sysusers makes the user" systemd-sysusers --root="$stack_dir" \
    "$stack_dir/usr/lib/sysusers.d/darkroom.conf"
like "who cannot log in" "$(grep ^darkroom: "$stack_dir/etc/passwd")" \
    ':/var/lib/darkroom:/usr/sbin/nologin$'
ok "systemd-tmpfiles knows what it is to make" systemd-tmpfiles \
    --root="$stack_dir" --clean "$stack_dir/usr/lib/tmpfiles.d/darkroom.conf"

cat >"$stack_dir/nginx.conf" <<END
pid $stack_dir/nginx.pid;
events { }
http {
    access_log off;
    include $stack_dir/site.conf;
}
END
site=$stack_dir/usr/share/darkroom/nginx/darkroom.conf
letsencrypt=/etc/letsencrypt/live/bot.example.com
sed -e "s|$letsencrypt/fullchain.pem|$stack_dir/cert.pem|" \
    -e "s|$letsencrypt/privkey.pem|$stack_dir/key.pem|" \
    -e "s|listen 443 ssl|listen unix:$stack_dir/https.sock ssl|" \
    -e "/listen .*443/d" "$site" >"$stack_dir/site.conf"
ok "nginx takes the site" nginx -e stderr -t -c "$stack_dir/nginx.conf"

done_testing
