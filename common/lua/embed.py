#!/usr/bin/env python3
"""Prints a C header with every script of a folder: its text as a string and the SHA-1 that EVALSHA calls it by."""
import hashlib
import pathlib
import sys


def literal(line: str) -> str:
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'    "{escaped}\\n"'


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    print("/* Made by common/lua/embed.py; do not edit. */")
    for path in sorted(folder.glob("*.lua")):
        source = path.read_text(encoding="ascii")
        if not source.endswith("\n"):
            sys.exit(f"{path}: does not end with a newline")
        sha = hashlib.sha1(source.encode("ascii")).hexdigest()
        print(f"static const char lua_{path.stem}[] =")
        print("\n".join(literal(line) for line in source.split("\n")[:-1]) + ";")
        print(f'static const char lua_{path.stem}_sha[] = "{sha}";')


if __name__ == "__main__":
    main()
