# What is wrong with a line of text wherever it stands.
#
#   awk -v columns=80 -f text.awk FILE...

function say(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
}

# A character of several bytes is one column.
{
    line = $0
    gsub(/[\200-\277]/, "", line)
}

FILENAME ~ /Makefile$/ { gsub(/\t/, "        ", line) }

line ~ /\t/ { say("a tab; indent with spaces") }

length(line) > columns {
    say(length(line) " columns, the limit is " columns)
}

/[ \t\r]$/ { say("white space at the end of the line") }

FILENAME !~ /text\.awk$/ && /TODO|FIXME|(^|[^X])XXX([^X]|$)/ {
    say("a mark of unfinished work")
}
