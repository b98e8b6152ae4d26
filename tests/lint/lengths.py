#!/usr/bin/env python3
"""Ratchets: no file over 600 lines, no function over 80; prints the medians. `--long` lists what is past the aim."""

import re
import statistics
import subprocess
import sys

FILE_MAX, FUNCTION_MAX, FILE_AIM, FUNCTION_AIM = 600, 80, 450, 60


def functions(lines):
    """(name, first line, length) of each function of a clang-formatted C file: its body opens with { in column 0."""
    name, start = None, None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and start is None:
            start = number
            head = "".join(lines[max(0, number - 5):number - 1])
            names = re.findall(r"(\w+)\s*\(", head.rsplit(";", 1)[-1].rsplit("}", 1)[-1])
            name = names[0] if names else "?"
        elif line.startswith("}") and start is not None:
            yield name, start, number - start - 1
            start = None


def main():
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.py", "*.js"], capture_output=True, text=True,
                           check=True).stdout.split()
    bad, long, file_lengths, function_lengths = [], [], [], []
    for path in files:
        lines = open(path, errors="replace").read().splitlines(keepends=True)
        file_lengths.append(len(lines))
        if len(lines) > FILE_AIM:
            (bad if len(lines) > FILE_MAX else long).append(f"{path}: {len(lines)} lines")
        if not path.endswith(".c"):
            continue
        for name, start, length in functions(lines):
            function_lengths.append(length)
            if length > FUNCTION_AIM:
                (bad if length > FUNCTION_MAX else long).append(f"{path}:{start}: {name}() has {length} lines")
    if "--long" in sys.argv:
        print("\n".join(long))
    print("\n".join(bad) or f"lengths: median file {statistics.median(file_lengths):g}, function "
          f"{statistics.median(function_lengths or [0]):g} lines, ok")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
