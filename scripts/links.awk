# links.awk: the relative links of a page in Markdown, for where the page is
# installed.
#
#   awk -v source=PAGE -v target=WHERE -f links.awk LIST PAGE
#
# LIST is what scripts/install installs: MODE KIND SOURCE TARGET. A link to one
# of these leads to its target; of a link to anything else the words are left,
# and the name in the source. What is between ``` is no link.

# "a/b/../c" -> "a/c"
function plain(path,    parts, n, i, depth, kept) {
    n = split(path, parts, "/")
    for (i = 1; i <= n; i++) {
        if (parts[i] == "..")
            depth--
        else if (parts[i] != "." && parts[i] != "")
            kept[++depth] = parts[i]
    }
    path = depth > 0 ? kept[1] : ""
    for (i = 2; i <= depth; i++)
        path = path "/" kept[i]
    return path
}

# From the directory of `page` to the file `to`, both from the root.
function way(page, to,    from, parts, n, m, i, same, path) {
    n = split(page, from, "/")
    m = split(to, parts, "/")
    for (same = 1; same < n && same < m && from[same] == parts[same];)
        same++
    for (i = same; i < n; i++)
        path = path "../"
    for (i = same; i < m; i++)
        path = path parts[i] "/"
    return path parts[m]
}

# "[words](address)"
function link(text,    split_at, words, address, anchor, to) {
    split_at = index(text, "](")
    words = substr(text, 2, split_at - 2)
    address = substr(text, split_at + 2, length(text) - split_at - 2)
    if (address ~ /^([a-z]+:|#)/)
        return text
    anchor = address
    sub(/#.*/, "", address)
    anchor = substr(anchor, length(address) + 1)
    to = plain(directory address)
    if (to in targets)
        return "[" words "](" way(target, targets[to]) anchor ")"
    if (index(to, words) == 1)
        return "`" to "` in the source"
    return words " (`" to "` in the source)"
}

BEGIN {
    directory = source
    sub(/[^\/]*$/, "", directory)
}

NR == FNR {
    if (!($3 in targets))
        targets[$3] = $4
    next
}

/^```/ { is_code = !is_code }

!is_code {
    rest = $0
    $0 = ""
    while (match(rest, /\[[^][]*\]\([^()]+\)/)) {
        $0 = $0 substr(rest, 1, RSTART - 1) link(substr(rest, RSTART, RLENGTH))
        rest = substr(rest, RSTART + RLENGTH)
    }
    $0 = $0 rest
}

{ print }
