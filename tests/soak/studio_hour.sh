#!/bin/sh
# A scripted hour in the studio under valgrind: no error, nothing lost. Run by hand from a build folder:
# sh ../tests/soak/studio_hour.sh [SECONDS] [SEED]
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "${BUILD:-.}")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cat >"$work/studio" <<END
#!/bin/sh
exec valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
    --errors-for-leak-kinds=definite,indirect --log-file=$work/log.%p $build/tests/tui/studio_driver "\$@"
END
chmod +x "$work/studio"
STUDIO_DRIVER=$work/studio FAKE_ENGINE=$build/tests/tui/fake_engine FAKE_CATALOGUE=$here/../tui/catalogue.json \
    "$build/tests/soak/studio_hour" "${1:-3600}" "${2:-1}"
result=$?
cat "$work"/log.*
exit $result
