#!/usr/bin/env python3
"""Functions that may not be called, and words that may not stand in the code."""

import re
import subprocess
import sys

BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|strtok_r|alloca|tmpnam|mktemp)\s*\(": "banned function",
    r"\b(atoi|atol|atoll|atof)\s*\(": "no error checks: use strtoll with checks",
    r"\b(TODO|FIXME|XXX)\b": "finish it, or say it in the issue",
    r"\btypedef\s+struct\b(?!.*\()": "no typedef for structs",
}
# a line that says "time itself" is one where passing time is what is tested, not what is hoped for
PYTHON = {r"\btime\.sleep\((0\.[5-9]|[1-9])": "wait for a condition, with a deadline"}


def main():
    found = []
    for patterns, globs in ((BANNED, ["*.c", "*.h"]), (PYTHON, ["tests/*.py"])):
        files = subprocess.run(["git", "ls-files", *globs], capture_output=True, text=True, check=True).stdout.split()
        for path in files:
            for number, line in enumerate(open(path, errors="replace"), 1):
                for pattern, why in patterns.items():
                    if path.startswith("tests/lint/") or "time itself" in line:
                        continue
                    if re.search(pattern, line):
                        found.append(f"{path}:{number}: {why}: {line.strip()}")
    print("\n".join(found) or "banned: ok")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
