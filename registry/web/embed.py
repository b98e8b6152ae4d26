#!/usr/bin/env python3
"""Writes the pages in a folder as a C header: embed.py DIRECTORY > web_assets.h"""
import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def url_path(name):
    if name == "index.html":
        return "/"
    return "/" + name.removesuffix(".html")


def c_bytes(content):
    lines = []
    for at in range(0, len(content), 20):
        lines.append("    " + ",".join(str(byte) for byte in content[at:at + 20]) + ",")
    return "\n".join(lines)


def main():
    files = sorted(p for p in pathlib.Path(sys.argv[1]).iterdir() if p.suffix in TYPES)
    print("/* Made by registry/web/embed.py from the files beside it. */")
    print("#include <stddef.h>\n")
    print("struct web_asset {\n    const char *path, *type, *etag;\n    const unsigned char *bytes;\n    size_t len;\n};\n")
    rows = []
    for number, path in enumerate(files):
        content = path.read_bytes()
        print(f"static const unsigned char web_bytes_{number}[] = {{\n{c_bytes(content)}\n}};")
        etag = hashlib.sha256(content).hexdigest()[:16]
        rows.append(f'    {{"{url_path(path.name)}", "{TYPES[path.suffix]}", "\\"{etag}\\"", '
                    f"web_bytes_{number}, sizeof(web_bytes_{number})}},")
    print("static const struct web_asset web_assets[] = {\n" + "\n".join(rows) + "\n};")


main()
