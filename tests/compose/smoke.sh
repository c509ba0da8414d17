#!/usr/bin/env bash
# Builds the image, starts everything with docker compose, and proves the living loop in containers:
# all healthy, a plan is made, relays act; worker stopped -> after two hours of house time the rules take over;
# worker started -> the plan is back. Needs a Docker engine and either `docker compose` or `docker-compose`.
#
#   tests/compose/smoke.sh            # builds, tests, and takes everything down again
#   KEEP=1 tests/compose/smoke.sh     # leaves it running
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-pems-smoke}
export PEMS_SPEED=${PEMS_SPEED:-60}
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
"${compose[@]}" version --short 2>/dev/null || true

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() {
    say "FAILED: $*"
    "${compose[@]}" ps || true
    "${compose[@]}" logs --tail=40 || true
    exit 1
}
cleanup() {
    if [ -z "${KEEP:-}" ]; then "${compose[@]}" down -v --timeout 30 >/dev/null 2>&1 || true; fi
}
trap cleanup EXIT

status() { curl -fsS --max-time 5 http://127.0.0.1:8084/v1/status; }
# field EXPRESSION: evaluates a Python expression over the status `s`
field() { status | python3 -c "import json,sys; s=json.load(sys.stdin); print($1)"; }
wait_for() { # seconds, what, command...
    local left=$1 what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        left=$((left - 2))
        [ "$left" -gt 0 ] || fail "$what"
        sleep 2
    done
    say "ok: $what"
}
mode_share() { # mode: at least 90 % of room devices are in it
    [ "$(field "sum(d['mode']=='$1' for n,d in s['devices'].items() if n.startswith('room:')) >= 0.9*sum(n.startswith('room:') for n in s['devices'])")" = True ]
}
all_healthy() {
    local id state
    for id in $("${compose[@]}" ps -q); do
        state=$(docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id")
        case $state in "running healthy" | "exited "*) ;; *) return 1 ;; esac
    done
}
relays_acted() { [ "$(field "any(c['device'].startswith('room:') and not c['dry_run'] for c in s['last_actions'])")" = True ]; }

say "building"
"${compose[@]}" build
begin=$(date +%s)
"${compose[@]}" up -d
wait_for 180 "all containers healthy" all_healthy
say "healthy after $(($(date +%s) - begin)) s"
"${compose[@]}" logs init | tail -4
for id in $("${compose[@]}" ps -q); do
    user=$(docker inspect -f '{{.Name}} {{.Config.User}}' "$id")
    case $user in *" "[1-9]*) ;; *) fail "runs as root: $user" ;; esac
done
say "ok: every container runs as a plain user"
wait_for 120 "a plan is made" curl -fsS --max-time 5 http://127.0.0.1:8083/v1/plan
wait_for 120 "rooms follow the plan" mode_share mpc
wait_for 300 "relays act" relays_acted
code=$(curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:8083/v1/plans)
[ "$code" = 401 ] || [ "$code" = 403 ] || fail "a new plan without a key was answered $code"
say "ok: writing needs a key ($code)"
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5555/)" = 401 ] || fail "Flower is open"
say "ok: Flower asks for its password"

"${compose[@]}" stop optimizer optimizer-worker
say "optimizer and its worker stopped"
wait_for 300 "rules took over" mode_share rule_based
"${compose[@]}" start optimizer-worker optimizer
begin=$(date +%s)
wait_for 180 "the plan is back" mode_share mpc
say "plan back after $(($(date +%s) - begin)) s"
"${compose[@]}" ps -q | xargs docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' || true
say "PASSED"
