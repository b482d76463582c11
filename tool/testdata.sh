#!/bin/sh
# testdata.sh: fetches the official test suite, at the commit that the tests
# were written against, to .testdata/testsuite.  SUITE_URL: another source,
# such as a local bare clone.
set -e
url=${SUITE_URL:-https://github.com/WebAssembly/testsuite.git}
commit=${SUITE_COMMIT:-193e551f}
cd "$(dirname "$0")/.."
target=.testdata/testsuite
if [ -d "$target/.git" ] && git -C "$target" rev-parse -q --verify "$commit^{commit}" >/dev/null; then
    echo "$target is at hand"
else
    rm -rf "$target"
    mkdir -p .testdata
    git clone -q "$url" "$target"
fi
git -C "$target" -c advice.detachedHead=false checkout -q "$commit"
echo "$target: $(git -C "$target" rev-parse --short HEAD), $(ls "$target"/*.wast | wc -l) scripts"
