#!/usr/bin/env python3
"""The pages of scripts/docs and the README: links lead somewhere, commands are
the same in every language, and every text with which darkroom names a trouble
stands in troubleshooting.md.

    tests/smoke/04-docs.t           the tests, as TAP
    tests/smoke/04-docs.t --texts   the texts that the page has to have
    tests/smoke/04-docs.t --links PAGE...   links of these that lead nowhere
"""

import ast
import os
import re
import subprocess
import sys
from fnmatch import fnmatch

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DOCS = "scripts/docs/"
PAGE = DOCS + "troubleshooting.md"
QUICK = [DOCS + "quick-start%s.md" % tail for tail in ("", ".ja", ".zh-TW")]

# Words in strings of these are not said when something goes wrong, or say
# themselves what to do.
SILENT = {
    "lib/check*.c": "says itself what to do",
    "fcgi/cmd_[!c]*.c": "say themselves what to do",
    "fcgi/jobs_print.c": "receipts",
    "fcgi/operate.c": "says itself what to do",
    "lib/config_show.c": "the example of the settings",
    "lib/config_table.c": "what each setting is",
    "lib/line_api.c": "headers",
    "lib/vitals_metrics.c": "what each number is",
    "lib/queue_sql.c": "SQL; its two reasons are below",
    "lib/queue_db.c": "SQL",
    "lib/texts.c": "in three languages: the page has what tells them apart",
    "lib/image/decoder_png.c": "libpng's words, to know them by",
    "fcgi/main.c": "help",
    "fcgi/cmd_check.c": "help",
}
REASONS_IN_SQL = ["the stored job is damaged"]

# Strings that are no message: what a setting may be, names, parts of a line
# that says what `convert` has done.
NO_MESSAGE = {
    "a text, off", "an absolute path", "are set", "fit, max, WIDTHxHEIGHT",
    "from LINE's console", "https://..., http:// to a private address",
    "on, off", "up to", "GET, HEAD", "LINE messages", "darkroom convert",
    "darkroom convert --help' says more", "colours converted", "cut off",
    "pixel data copied", "preview the same", "standard input",
    "Bad Request", "Content Too Large", "Internal Server Error",
    "Method Not Allowed", "Not Found", "Service Unavailable",
    "Unsupported Media Type",
}

STRING = r'"(?:[^"\\\n]|\\.)*"'
FORMAT = r"%[-0-9.*]*(?:ll|z)?[a-zA-Z]|%%"


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def files(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard",
                          "--", *patterns],
                         cwd=TOP, check=True, capture_output=True, text=True)
    return sorted(name for name in set(out.stdout.split())
                  if os.path.exists(os.path.join(TOP, name)))


# ---- what the program says


def without_comments(code):
    keep = re.compile(STRING + r"|/\*.*?\*/|//[^\n]*", re.S)
    return keep.sub(lambda m: m[0] if m[0][0] == '"' else " ", code)


def without_silent(code):
    """Leaves out includes, help texts and assertions."""
    code = re.sub(r"^#include.*", "", code, flags=re.M)
    code = re.sub(r"_Static_assert\(.*?\);", "", code, flags=re.S)
    return re.sub(r"\busage\w*\[\] *=.*?;\n", "", code, flags=re.S)


def strings(code):
    """The strings of C source, neighbours joined as the compiler does."""
    for run in re.finditer(r"%s(?:\s+%s)*" % (STRING, STRING), code):
        yield "".join(ast.literal_eval(each)
                      for each in re.findall(STRING, run[0]))


def is_words(text):
    """Words for people: two at least, and no header, path or SQL."""
    return bool(re.search(r"[A-Za-z]{2,},? +[a-zA-Z'\[]{2,}", text)) \
        and not re.search(r"^[A-Za-z]+-[A-Za-z-]+: $|=\?", text)


def pieces(text):
    """What is left of a text when the values in it are cut out."""
    for piece in re.split(FORMAT, text):
        piece = " ".join(piece.split()).strip(" :;,.'()[]?")
        if is_words(piece) and piece not in NO_MESSAGE:
            yield piece


def texts():
    """(source, text) of all that the page has to have."""
    found = []
    for path in files("lib/*.c", "fcgi/*.c"):
        code = without_silent(without_comments(read(path)))
        for event in re.findall(r'\bLOG\(\s*\w+\s*,\s*"(\w+)"', code) + \
                re.findall(r'\b(?:log_\w+|send_line)\([^;"]*"([a-z_]+)"',
                           code):
            found.append((path, "event=" + event))
        if any(fnmatch(path, pattern) for pattern in SILENT):
            continue
        for text in strings(code):
            found += [(path, piece) for piece in pieces(text)]
    table = without_comments(read("lib/status.h").replace("\\\n", " "))
    for name, text in re.findall(r'X\((\w+),\s*\w+,\s*("[^"]*")\)', table):
        found.append(("lib/status.h", name))
        found.append(("lib/status.h", ast.literal_eval(text)))
    found += [("lib/queue_sql.c", reason) for reason in REASONS_IN_SQL]
    return sorted(set(found))


# ---- what the pages say


def plain(page):
    """The page's words: without marks of Markdown, on one line."""
    return " ".join(re.sub(r"[`*|\\]", " ", page).split())


def has(page, text):
    name = text[6:] if text.startswith("event=") else text
    if re.fullmatch(r"\w+", name):
        return re.search(r"\b%s\b" % name, page) is not None
    return " ".join(text.split()) in page


def blocks(path):
    """The commands of a page: its sh blocks, without their comments."""
    found = re.findall(r"^```sh\n(.*?)^```", read(path), flags=re.M | re.S)
    return [re.sub(r"\s+#\s.*", "", block) for block in found]


def anchors(path):
    """The names of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.*)", read(path), flags=re.M):
        heading = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
        yield re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def dead_links(path):
    text = re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), target)) \
            if target else path
        if not os.path.exists(os.path.join(TOP, to)):
            yield "%s: no file %s" % (path, link)
        elif anchor and anchor not in anchors(to):
            yield "%s: no heading %s" % (path, link)


def lost_tests(path):
    """Tests that are named and are not there."""
    for name in re.findall(r"`(?:tests/)?((?:smoke|unit|contract|data)"
                           r"/[\w.-]+\.\w+)`", read(path)):
        if not os.path.exists(os.path.join(TOP, "tests", name)):
            yield "%s: no test %s" % (path, name)


def wide_lines(path):
    """Lines above 80 columns; a table's row, a link and code may be."""
    is_code = False
    for number, line in enumerate(read(path).splitlines(), 1):
        is_code ^= line.startswith("```")
        if len(line) > 80 and not is_code and line[0] != "|" \
                and "](" not in line and "http" not in line:
            yield "%s:%d" % (path, number)


def bad_python(path):
    found = re.findall(r"^```python\n(.*?)^```", read(path),
                       flags=re.M | re.S)
    for number, block in enumerate(found, 1):
        try:
            compile(block, "%s, block %d" % (path, number), "exec")
        except SyntaxError as error:
            yield str(error)


# ---- TAP


class Tap:
    count = 0

    def none(self, what, wrong):
        """Passes if nothing is wrong."""
        wrong = list(wrong)
        Tap.count += 1
        print("%sok %d - %s" % ("not " if wrong else "", Tap.count, what))
        for each in wrong:
            print("# %s" % (each,), file=sys.stderr)


def main():
    if "--links" in sys.argv:
        print("\n".join(dead for page in sys.argv[2:]
                        for dead in dead_links(os.path.abspath(page))))
        return
    tap = Tap()
    pages = files("README.md", DOCS + "*.md")
    said = texts()
    if "--texts" in sys.argv:
        print("\n".join("%s\t%s" % each for each in said))
        return
    words = plain(read(PAGE))
    tap.none("the texts are found", [] if len(said) > 150 else [len(said)])
    tap.none("each is in troubleshooting.md",
             ["%s: %s" % each for each in said if not has(words, each[1])])
    for page in QUICK[1:]:
        tap.none("the commands of %s are those of the English page" % page,
                 [each for each in zip(blocks(QUICK[0]), blocks(page))
                  if each[0] != each[1]] or
                 ([] if len(blocks(QUICK[0])) == len(blocks(page)) > 0
                  else ["other blocks"]))
    tap.none("links lead somewhere", [dead for page in files("*.md")
                                      for dead in dead_links(page)])
    tap.none("tests that are named are there", [lost for page in pages
                                                for lost in lost_tests(page)])
    tap.none("the README names every page", [
        page for page in pages
        if page != "README.md" and "(%s)" % page not in read("README.md")])
    tap.none("lines have 80 columns", [line for page in pages if ".ja" not in
                                       page and ".zh" not in page
                                       for line in wide_lines(page)])
    tap.none("Python in them is Python", [bad for page in pages
                                          for bad in bad_python(page)])
    print("1..%d" % Tap.count)


main()
