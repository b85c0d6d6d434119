# Checks the #include lines of the files given against scripts/layers.
#
#   awk -v layers=FILE -v system_headers=FILE -f includes.awk SOURCE...
#
# Prints "file:line: what is wrong".

function say(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
}

function glob(text, pattern) {
    gsub(/[.+]/, "\\\\&", pattern)
    gsub(/\*/, ".*", pattern)
    return text ~ ("^" pattern "$")
}

# The name by which the layers know a file: lib/queue.c is queue, all of
# lib/image is image/.
function module(path) {
    if (match(path, /^(fcgi|tests)\//))
        return substr(path, 1, RLENGTH)
    if (path ~ /^lib\/image\//)
        return "image/"
    sub(/^lib\//, "", path)
    sub(/\.[ch]$/, "", path)
    return path
}

# store of store_dir
function family(name) {
    sub(/_.*/, "", name)
    return name
}

# The line of the layers file on which a module stands; 0: none.
function layer(name) {
    if (name in rank)
        return rank[name]
    return (family(name) in rank) ? rank[family(name)] : 0
}

# The file that an #include "..." means: one beside the includer, else one on
# the include path, which is lib/.
function target(quoted, dir, ignored, path) {
    dir = FILENAME
    sub(/[^\/]*$/, "", dir)
    path = dir quoted
    if ((getline ignored < path) < 0)
        path = "lib/" quoted
    else
        close(dir quoted)
    while (sub(/[^\/]+\/\.\.\//, "", path))
        ;
    return path
}

function check_own(header, other) {
    other = module(target(header))
    if (other == own || family(other) == family(own))
        return
    if (own == "image/" && layer(other) > image_sees)
        say("image/ must not know \"" header "\"")
    else if (layer(other) >= own_layer)
        say("\"" header "\" is not below " own " in scripts/layers")
}

function check_foreign(header, pattern, rule, count, list, i) {
    for (pattern in foreign)
        if (glob(header, pattern))
            rule = foreign[pattern]
    if (rule == "") {
        if (!(header in is_system))
            say(header " is of no library that scripts/layers names")
        return
    }
    count = split(rule, list, " ")
    for (i = 2; i <= count; i++)
        if (glob(FILENAME, list[i]))
            return
    say(header " may be included by" substr(rule, index(rule, " ")) " only")
}

BEGIN {
    image_sees = 3
    while ((getline row < system_headers) > 0)
        is_system["<" row ">"] = 1
    while ((getline row < layers) > 0) {
        if (row ~ /^(#|$)/)
            continue
        count = split(row, list, " ")
        if (row ~ /^</) {
            foreign[list[1]] = row
            continue
        }
        height++
        for (i = 1; i <= count; i++)
            rank[list[i]] = height
    }
}

FNR == 1 {
    own = module(FILENAME)
    own_layer = layer(own)
    if (own_layer == 0)
        say("scripts/layers has no place for " own)
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    check_own(part[2])
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    match($0, /<[^>]*>/)
    check_foreign(substr($0, RSTART, RLENGTH))
}
