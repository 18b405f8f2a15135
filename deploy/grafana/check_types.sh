#!/usr/bin/env bash
# Checks the dashboards against Grafana's own types: deploy/grafana/check_types.sh
# Needs node, npm and a package index; installs into a temporary folder and leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! npm install --silent --no-save --no-audit --no-fund --no-update-notifier --fetch-retries=0 --prefix "$work" typescript@5 @grafana/schema@11 > /dev/null; then
    printf 'the types can not be had: is there a package index?\n' >&2
    exit 75
fi
for file in "$here"/dashboards/*.json; do
    # Grafana's types leave out what datasources add to queries, and what variables have beside their values.
    {
        printf 'import type { Dashboard } from "@grafana/schema";\nexport const dashboard: Dashboard = '
        cat "$file"
        printf ';\n'
    } > "$(basename "${file%.json}").ts"
done
printf '{"compilerOptions": {"strict": true, "noEmit": true, "skipLibCheck": true, "moduleResolution": "node", "types": []}, "files": [%s]}' \
    "$(printf '"%s",' ./*.ts | sed 's/,$//')" > tsconfig.json
node_modules/.bin/tsc --project .
printf 'dashboards: as Grafana types them\n'
