#!/usr/bin/env bash
#
# The nginx files that ship: nginx takes them, and serves published pictures,
# and only those, as promised. No pool is running.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_must stack_nginx

# ---- the block for a real server, with a certificate and port of ours

deploy=$stack_dir/deploy
mkdir "$deploy"
cp "$stack_dir"/*.pem "$smoke_top"/nginx/*.conf "$deploy"
sed -i -e "s|/etc/letsencrypt/live/bot.example.com/fullchain|$deploy/cert|" \
    -e "s|/etc/letsencrypt/live/bot.example.com/privkey|$deploy/key|" \
    -e 's|listen 443|listen 127.0.0.1:18443|' \
    -e 's|listen \[::\]:443|listen 127.0.0.2:18443|' "$deploy/darkroom.conf"
cat >"$deploy/nginx.conf" <<'END'
pid nginx.pid;
error_log stderr;
events { }
http { access_log off; include darkroom.conf; }
END
is "nginx -t takes darkroom.conf without a warning" \
    "$(nginx -t -q -p "$deploy" -c nginx.conf -e stderr 2>&1)" ""
is "nginx -t takes the configuration of a checkout" \
    "$(cd "$stack_dir" && nginx -t -q -p . -c nginx.conf -e stderr 2>&1)" ""

# ---- published pictures

name=ab/cdefghijklmnopqrstuvwxyz234567
public=$stack_dir/state/public
mkdir -p "$public/ab" "$public/.incoming"
cp "$smoke_top/static/expired.png" "$public/$name.png"
cp "$smoke_top/static/expired.png" "$public/$name.p.png"
cp "$smoke_top/static/expired.png" "$public/.incoming/0011"
cp "$smoke_top/static/expired.png" "$public/ab/other.png"
ln -s /etc/passwd "$public/ab/dddddddddddddddddddddddddddddd.png"

# status of PATH [curl options]
status() {
    stack_curl "$@" -o /dev/null -w '%{http_code}' --path-as-is
}
head_of() {
    stack_curl "$@" -o /dev/null -D - --path-as-is | tr -d '\r'
}

head=$(head_of "/static/$name.png")
like "a picture is there" "$head" "HTTP/1.1 200"
like "it is image/png" "$head" $'\n'"Content-Type: image/png"$'\n'
like "it may be kept for ever" "$head" \
    $'\n'"Cache-Control: public, max-age=31536000, immutable"$'\n'
like "its type is not to be guessed" "$head" \
    $'\n'"X-Content-Type-Options: nosniff"$'\n'
like "search engines are asked to stay away" "$head" "X-Robots-Tag: noindex"
like "the server does not tell its version" "$head" $'\n'"Server: nginx"$'\n'
is "its bytes are those of the file" \
    "$(stack_curl "/static/$name.png" | cksum)" \
    "$(cksum <"$public/$name.png")"
is "so is the preview" "$(status "/static/$name.p.png")" 200
is "HEAD works" "$(status "/static/$name.png" -I)" 200
is "a range works" "$(status "/static/$name.png" -r 10-19)" 206
etag=$(sed -n 's/^ETag: //p' <<<"$head")
is "a copy that is still good is not sent again" \
    "$(status "/static/$name.png" -H "If-None-Match: $etag")" 304
for method in POST PUT DELETE OPTIONS; do
    is "$method is refused" "$(status "/static/$name.png" -X $method)" 405
done
for path in "$name.png" expired.png; do
    like "a refusal of $path says what is allowed" \
        "$(head_of "/static/$path" -X POST)" $'\n'"Allow: GET, HEAD"$'\n'
done
ok "other answers do not" [ "${head/Allow:/}" = "$head" ]

head=$(head_of /static/zz/cdefghijklmnopqrstuvwxyz234567.png)
like "a missing picture is 404" "$head" "HTTP/1.1 404"
like "and that is not kept" "$head" $'\n'"Cache-Control: no-store"
like "a placeholder is shown" "$head" $'\n'"Content-Type: image/png"$'\n'

like "the placeholder itself is asked for again" \
    "$(head_of /static/expired.png)" $'\n'"Cache-Control: no-cache"$'\n'

is "no listing of the pictures" "$(status /static/)" 404
is "no listing of a directory of them" "$(status /static/ab/)" 404
is "unfinished files are not served" "$(status /static/.incoming/0011)" 404
is "other names are not served" "$(status /static/ab/other.png)" 404
is "links are not followed" \
    "$(status /static/ab/dddddddddddddddddddddddddddddd.png)" 403
is "no way out of the directory" \
    "$(status /static/ab/../../../cert.pem)" 400
is "nor through an encoded one" \
    "$(status /static/ab/%2e%2e/%2e%2e/%2e%2e/cert.pem)" 400
is "nor beside it" "$(status /static../cert.pem)" 404

# ---- the rest

like "robots.txt" "$(stack_curl /robots.txt)" "Disallow: /"
is "favicon.ico" "$(status /favicon.ico)" 200
is "anything else is 404" "$(status /anything)" 404
like "with words for people" "$(stack_curl /anything)" "There is nothing at"
is "which have no address of their own" "$(status /static/404.html)" 404
is "/darkroom leads to /darkroom/" \
    "$(stack_curl /darkroom -o /dev/null -w '%{http_code} %{redirect_url}')" \
    "301 $stack_url/darkroom/"
while read -r file type; do
    is "/darkroom/$file is $type" "$(stack_curl "/darkroom/$file" \
        -o /dev/null -w '%{http_code} %{content_type}')" "200 $type"
    is "and not public" "$(status "/static/darkroom/$file")" 404
done <<'END'
index.html text/html; charset=utf-8
page.css text/css; charset=utf-8
page.js text/javascript; charset=utf-8
icon.svg image/svg+xml
vendor/uplot/uPlot.esm.js text/javascript; charset=utf-8
vendor/uplot/LICENSE text/plain; charset=utf-8
END
head=$(head_of /darkroom/)
like "the status page asks this server only" "$head" \
    $'\n'"Content-Security-Policy: default-src 'none'; script-src 'self'; "
like "and is in no frame" "$head" "frame-ancestors 'none'"
like "and is asked for again" "$head" $'\n'"Cache-Control: no-cache"$'\n'
is "there is no listing behind it" "$(status /darkroom/vendor/)" 403
is "nor a way out" "$(status /darkroom../404.html)" 404
is "the status page is for this machine" \
    "$(status /darkroom/ -H "X-Forwarded-For: 192.0.2.1")" 403
for path in /healthz /readyz /metrics /darkroom/status.json; do
    is "$path is for this machine" "$(status $path)" 502
    is "and not for those behind a proxy" \
        "$(status $path -H "X-Forwarded-For: 192.0.2.1")" 403
done
is "no pool: 502, at once" "$(status /webhook -X POST -d x)" 502
head -c 1048577 /dev/zero >"$stack_dir/large"
is "a body beyond 1 MiB: 413" \
    "$(status /webhook -X POST --data-binary "@$stack_dir/large")" 413


# What LINE's own path leads to is not LINE's.
for path in //darkroom/ /static/../darkroom/ /webhook/%2e%2e/metrics \
    /%64arkroom/status.json; do
    is "$path is not for those behind a proxy" \
        "$(status $path --path-as-is -H "X-Forwarded-For: 127.0.0.1")" 403
done
is "none of these made nginx warn" \
    "$(grep -c 'uninitialized' "$stack_dir/nginx.log")" 0

# ---- TLS as LINE speaks it

is "TLS 1.2" "$(status /robots.txt --tls-max 1.2)" 200
is "TLS 1.3" "$(status /robots.txt --tlsv1.3)" 200
is "not TLS 1.1" "$(status /robots.txt --tls-max 1.1 \
    --ciphers DEFAULT@SECLEVEL=0)" 000
is "not a CBC cipher" \
    "$(status /robots.txt --tls-max 1.2 --ciphers AES128-SHA256)" 000
is "HTTP/1.0" "$(status /robots.txt --http1.0)" 200

# ---- a password instead, as darkroom-local.conf describes it

sed -i -e '/^allow/d; /^deny/d; /^if /,/^}/d' -e 's/^# \(auth_basic\)/\1/' \
    -e "s,/etc/nginx,$stack_dir," "$stack_dir/darkroom-local.conf"
printf 'me:%s\n' "$(openssl passwd -apr1 geheim)" \
    >"$stack_dir/darkroom.htpasswd"
chmod 644 "$stack_dir/darkroom.htpasswd"
kill -HUP "${stack_pids[nginx]}"
# Asked until it is so: nginx's old processes may answer for a moment.
page_is() {
    [ "$(status /darkroom/ "${@:2}")" = "$1" ]
}
ok "without it the page is not shown" stack_until 10 page_is 401
ok "nor with another" stack_until 10 page_is 401 -u me:secret
ok "with it, it is" stack_until 10 page_is 200 -u me:geheim
ok "also to those behind a proxy" \
    stack_until 10 page_is 200 -u me:geheim -H "X-Forwarded-For: 192.0.2.1"
figures_are() {
    [ "$(status /metrics)" = "$1" ]
}
ok "and so are the figures" stack_until 10 figures_are 401

done_testing
