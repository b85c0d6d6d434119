#!/usr/bin/env bash
#
# `darkroom convert`: the normalizer as a command. What it writes, what it says,
# and what it leaves behind when it is stopped, killed or out of space.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
smoke_photo
cd "$stack_dir" || exit 1
mkdir in out previews
png2ppm=$smoke_top/tests/tool/png2ppm
small=in/small.jpg
djpeg -scale 1/8 "$photo" | cjpeg -quality 85 >$small

# run ARGUMENT...: sets `status`, `said` (stdout), `complained` (stderr).
run() {
    "$BUILD/darkroom" convert "$@" >said 2>complained
    status=$?
    said=$(tr -d '\0' <said)
    complained=$(tr -d '\0' <complained)
}

# refused NAME PATTERN ARGUMENT...: wrong arguments, and nothing is written.
refused() {
    local name=$1 pattern=$2

    shift 2
    run "$@"
    is "$name: 64" $status 64
    like "$name: it says why" "$complained" "$pattern"
}

empty() {
    [ -z "$(ls -A "$1")" ]
}

# ---- one picture

run "$photo" out/a.png --preview previews/a.png
is "a photo" $status 0
like "is reported in one line" "$said" \
    "photo-1mp.jpg: jpeg 1224x918, .* -> 1224x918, .* ms$"
is "and nothing is said on standard error" "$complained" ""
ok "another decoder takes the original" pngfix --quiet out/a.png
ok "and the preview" pngfix --quiet previews/a.png
ok "the original is within its limit" \
    [ "$(stat -c %s out/a.png)" -le 10000000 ]
ok "the preview too" [ "$(stat -c %s previews/a.png)" -le 1000000 ]

run $small out/small.png --preview previews/small.png
ok "a small photo has the pixels djpeg sees" \
    sh -c "'$png2ppm' out/small.png >ours && djpeg $small | cmp - ours"
ok "and is its own preview, in a file of its own" \
    cmp out/small.png previews/small.png

run "$photo" out/box.png --mode 600x600
like "a box is kept to" "$said" "-> 600x450, "
run "$photo" out/max.png --mode max
is "as many pixels as the limit allows" $status 0
ok "the original is within its limit" \
    [ "$(stat -c %s out/max.png)" -le 10000000 ]

run out/a.png out/again.png
is "a PNG" $status 0
like "is reported as one" "$said" "a.png: png 1224x918"
"$png2ppm" out/small.png >first
run out/small.png out/small2.png
ok "and keeps its pixels" sh -c "'$png2ppm' out/small2.png | cmp - first"

run $small out/private.png
is "the mode follows the umask" "$(stat -c %a out/private.png)" \
    "$(printf %o $((0666 & ~$(umask))))"
run "$photo" out/private.png
ok "an output that exists is replaced" cmp out/a.png out/private.png

# ---- standard input and output

"$BUILD/darkroom" convert - - <"$photo" >piped 2>complained
is "from a file on stdin to stdout" $? 0
ok "comes the same picture" cmp piped out/a.png
like "its report is on standard error" "$(<complained)" \
    "^standard input: jpeg "
"$BUILD/darkroom" convert --quiet - - < <(cat "$photo") 2>complained |
    cat >piped
ok "through pipes, too" cmp piped out/a.png
is "--quiet says nothing" "$(<complained)" ""
"$BUILD/darkroom" convert "$photo" - >/dev/full 2>complained
is "a full standard output: 74" $? 74
like "and its reason" "$(<complained)" NO_SPACE
"$BUILD/darkroom" convert "$photo" - 2>complained | head -c 10 >piped
is "a closed one: 74" "${PIPESTATUS[0]}" 74

# ---- several

rm -f out/* previews/*
cp "$photo" in/large.jpg
head -c 20000 "$photo" >in/cut.jpg
echo "no picture" >in/text.jpg
: >in/empty.jpg
run --jobs 2 in/*.jpg in/none.jpg out --preview previews
is "some good, some bad, one missing: 74" $status 74
is "the good ones are there" "$(echo out/*)" "out/large.png out/small.png"
is "with previews" "$(echo previews/*)" \
    "previews/large.png previews/small.png"
is "nothing else is" "$(find out previews -name '.*' -type f)" ""
is "each bad one has its line" "$(wc -l <complained)" 4
like "a cut one" "$complained" "in/cut.jpg: .* \(IMAGE_TRUNCATED\)"
like "a text" "$complained" "in/text.jpg: .* \(NOT_AN_IMAGE\)"
like "an empty file" "$complained" "in/empty.jpg: .* \(EMPTY\)"
like "a missing one" "$complained" "in/none.jpg: cannot be read: No such file"
run in/text.jpg $small out
is "a bad one and a good one: 1" $status 1

run --json in/*.jpg out --preview previews
is "--json: one object per picture" "$(jq -c .input said | wc -l)" 5
is "with its status" \
    "$(jq -r 'select(.input == "in/text.jpg").status' said)" NOT_AN_IMAGE
is "its dimensions and sizes" \
    "$(jq -c 'select(.input == "in/large.jpg") |
        [.type, .width, .height, .original_bytes, .preview_bytes]' said)" \
    "[\"jpeg\",1224,918,$(stat -c %s out/large.png),$(
        stat -c %s previews/large.png)]"
is "and nothing on standard error" "$complained" ""
/usr/bin/python3 -c 'from PIL import Image
Image.linear_gradient("L").resize((1000, 800)).save("in/plain.png")'
run --json in/plain.png previews
is "a well packed PNG is copied" \
    "$(jq -c '[.type, .idat_copied, .decodes]' said)" \
    '["png",true,1]'
run in/plain.png previews
like "and the line says so" "$(<said)" "pixel data copied"
cp $small in/$'\e[31m\xff"'.jpg
run --json in/$'\e[31m\xff"'.jpg out
ok "--json survives any name" jq -e .input said
run in/$'\e[31m\xff"'.jpg out
is "a name does not drive the terminal" "$(tr -dc '\033' <said)" ""
rm -f in/$'\e[31m\xff"'.jpg out/*

# ---- wrong arguments

rm -f out/* previews/*
refused "no argument" "name a picture"
refused "one argument" "name a picture" in/large.jpg
refused "an unknown option" "'--frobnicate' is not an option" --frobnicate \
    $small out/x.png
is "is told in one line, and one about help" "$(wc -l <complained)" 2
refused "an option without its value" "'--preview' needs a value" \
    $small out/x.png --preview
refused "a preview that is a directory" "is a directory, but OUT is not" \
    $small out/x.png --preview previews
refused "a mode that is none" "none of fit" --mode 10 $small out/x.png
refused "a box without a side" "none of fit" --mode 0x10 $small out/x.png
refused "no jobs" "1 to" --jobs 0 $small out/x.png
refused "several to a file" "not a directory" $small in/large.jpg out/x.png
refused "a preview that is no directory" "not a directory" $small out \
    --preview out/x.png
refused "a device as output" "is not a file" $small /dev/null
refused "its own input" "own input" $small $small
ln $small in/link.jpg
refused "its own input by another name" "own input" in/link.jpg $small
refused "a preview over the input" "own input" $small out/x.png \
    --preview $small
refused "two outputs in one" "both original and preview" $small out/x.png \
    --preview out/../out/x.png
mkdir in/more && cp $small in/more/
refused "two inputs to one output" "would both become" $small \
    in/more/small.jpg out
refused "standard input into a directory" "name of a file" - out
ok "nothing was written" empty out
ok "nor lost" cmp $small in/more/small.jpg
run --help
is "--help: 0" $status 0
like "and it tells the exit statuses" "$said" "Exit status: 0 all done, 1 .*74"

run $small nowhere/x.png
is "a directory that is not there: 74" $status 74
like "and it is named" "$complained" \
    "small.jpg: cannot write nowhere/x.png: No such file"

# ---- no half file

mkfifo slow
exec {feed}<>slow # keeps it open, so that the picture never ends

# begin: a picture that waits for the rest of its bytes; sets `pid`.
has_output() {
    find "/proc/$pid/fd" -lname "$stack_dir/out/*" 2>/dev/null | grep -q .
}
begin() {
    head -c 60000 "$photo" >&"$feed"
    env --default-signal=INT,TERM,HUP "$BUILD/darkroom" convert slow \
        out/slow.png >said 2>complained {feed}>&- &
    pid=$!
    smoke_must stack_until 20 has_output
    mapfile -t family < <(stack_family "$pid")
}

for signal in INT:130 TERM:143 HUP:129; do
    begin
    kill "-${signal%:*}" "$pid"
    wait "$pid"
    is "SIG${signal%:*} ends it as the shell expects" $? "${signal#*:}"
    ok "and leaves no file" empty out
    ok "nor a process" stack_until 10 stack_gone "${family[@]}"
done
# The lab is the child of the keeper, which is that of the command. A pipe
# cannot be read twice, so there is no second try.
begin
kill -KILL "$(pgrep -P "$(pgrep -P "$pid")")"
wait "$pid" 2>/dev/null
is "a lab that dies: 74" $? 74
like "and its reason" "$(<complained)" LAB_DIED
ok "and no file" empty out

begin
kill -KILL "$pid"
wait "$pid" 2>/dev/null
ok "kill -9 leaves no file with the output's name" [ ! -e out/slow.png ]
ok "nor a process" stack_until 10 stack_gone "${family[@]}"
exec {feed}>&-
find out -type f -delete

cp $small out/full.png
(ulimit -f 100 && run "$photo" out/full.png &&
    cp complained full.said && exit $status)
is "a disk that is full: 74" $? 74
like "and its reason" "$(<full.said)" NO_SPACE
ok "what was there still is" cmp $small out/full.png
is "and nothing else" "$(ls -A out)" full.png

rm out/full.png

# ---- progress

slowly="(head -c 60000 '$photo'; sleep 1; tail -c +60001 '$photo')"
script -qec "$slowly | '$BUILD/darkroom' convert - out/x.png" /dev/null \
    </dev/null >said
like "on a terminal a bar shows how far it is" "$(<said)" "0 of 1 \[#+\]"
like "and goes away" "$(tail -n 1 said)" $'\r\e\\[K'"standard input: jpeg"
script -qec "$slowly | '$BUILD/darkroom' convert --quiet - out/x.png" \
    /dev/null </dev/null >said
is "with --quiet there is none" "$(<said)" ""
sh -c "$slowly" | "$BUILD/darkroom" convert - out/x.png >said 2>complained
is "nor without a terminal" "$(<complained)" ""
script -qec "'$BUILD/darkroom' convert '$photo' - && echo written" \
    /dev/null </dev/null >said
like "no picture is written to a terminal" \
    "$(<said)" "not written to a terminal"

done_testing
