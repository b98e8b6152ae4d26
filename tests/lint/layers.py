#!/usr/bin/env python3
"""Include layering: proto <- common <- { gateway, router, registry }; one wrapper for each third-party library."""

import re
import subprocess
import sys

# folder -> project folders it may include from; build/generated headers are free to all
LAYERS = {
    "common": {"common"},
    "gateway/ws": {"common", "gateway/ws", "gateway"},
    "gateway/memory": {"common", "gateway/memory", "gateway"},
    "gateway/auth": {"common", "gateway/auth"},
    "gateway/session": {"common", "gateway/ws", "gateway/auth", "gateway/session", "gateway"},
    "gateway/link": {"common", "gateway/link", "gateway/session", "gateway"},
    "gateway/canary": {"common", "gateway/auth", "gateway/ws", "gateway/link", "gateway/canary", "gateway"},
    "gateway": {"common", "gateway", "gateway/ws", "gateway/auth", "gateway/session", "gateway/link",
                "gateway/canary", "gateway/memory"},
    "router/record": {"common", "router/record", "router"},
    "router/outcome": {"common", "router/record", "router/outcome", "router"},
    "router/source": {"common", "router/record", "router/outcome", "router/source", "router"},
    "router/route": {"common", "router/record", "router/route", "router"},
    "router/flow": {"common", "router/record", "router/outcome", "router/route", "router/flow", "router"},
    "router/link": {"common", "router/record", "router/flow", "router/link", "router"},
    "router/box": {"common", "router/record", "router/outcome", "router/route", "router/flow", "router/link", "router/box",
                   "router"},
    "router/dispatch": {"common", "router/record", "router/outcome", "router/route", "router/flow", "router/link",
                        "router/box", "router/dispatch", "router"},
    "router": {"common", "router", "router/record", "router/source", "router/outcome", "router/route", "router/flow",
               "router/link", "router/box", "router/dispatch"},
    "registry": {"common", "registry"},
    "registry/ctl": {"common", "registry/ctl"},
    "deploy/local": {"common"},
    "bench": {"common", "bench"},
    "bench/instructions": {"common", "bench/instructions"},
    "bench/peers": {"common", "bench", "bench/peers"},
    "tests/unit": {"tests/unit"},
}
# what of the daemon's own top folder its subfolders may see: tables, never wiring
SHARED_TOP = {"gateway/metrics.h", "gateway/settings.h", "router/metrics.h"}

# library header -> the files that may include it
WRAPPERS = {
    r"event2/": r"common/(loop|loop_fake|net)\w*\.c|common/admin\w*\.[ch]",
    r"wslay/": r"gateway/ws/ws_codec\w*\.c",
    r"hiredis/": r"common/redis\w*\.[ch]",
    r"zmq\.h": r"common/bus\w*\.c",
    r"librdkafka/": r"(common|deploy/local)/kafka_\w+\.[ch]|common/kafka_\w+_test\.c|common/kafka_test\.c",
    r"yaml\.h": r"common/option_yaml\.c",
    r"zlib\.h": r"gateway/ws/\w+\.c",
    r"curl/": r"registry/ctl/http\.c",
}

# a test may stand a thing in all of its daemon
TEST = re.compile(r"_test\.c$|_world\.h$|/fake_\w+\.h$")

# one that counts instructions stands over the whole of one daemon
DRIVER = re.compile(r"bench/instructions/(gateway|router)_count\.c")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    return path.rsplit("/", 1)[0] if "/" in path else ""


def problems(path):
    here = folder_of(path)
    driver = DRIVER.fullmatch(path)
    for number, line in enumerate(open(path, errors="replace"), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, target = found.groups()
        for header, allowed in WRAPPERS.items():
            if re.match(header, target) and not re.fullmatch(allowed, path):
                yield f"{path}:{number}: <{target}> belongs to {allowed}"
        if quote == "<" or ".pb-c." in target:
            continue
        target_folder = folder_of(target) or here
        if here not in LAYERS or target_folder not in LAYERS:
            if not target.startswith(("lua_scripts", "web_assets")):
                yield f"{path}:{number}: {target}: unknown folder"
        elif TEST.search(path) and target_folder.split("/")[0] in (here.split("/")[0], "tests"):
            continue
        elif driver and target_folder.split("/")[0] == driver[1]:
            continue
        elif target_folder not in LAYERS[here]:
            yield f"{path}:{number}: {here} may not include {target}"
        elif target_folder in ("gateway", "router") and here != target_folder and target not in SHARED_TOP:
            yield f"{path}:{number}: {here} may not include the wiring, {target}"


def main():
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], capture_output=True, text=True, check=True).stdout.split()
    found = [problem for path in files for problem in problems(path)]
    print("\n".join(found) or f"layers: {len(files)} files, ok")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
