#!/usr/bin/env bash
# Builds the image, starts everything with docker compose, and proves the living loop in containers:
# all healthy, a plan is made, relays act; worker stopped -> after two hours of house time the rules take over;
# worker started -> the plan is back. Also: secrets and rights hold, a second `up` disturbs nothing, the controller
# hands back when stopped, and `down` and `up` go on with the same house.
# Needs a Docker engine and either `docker compose` or `docker-compose`. Uses ports of its own.
#
#   tests/compose/smoke.sh            # builds, tests, and takes everything down again
#   KEEP=1 tests/compose/smoke.sh     # leaves it running
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-pems-smoke}
export PEMS_SPEED=${PEMS_SPEED:-60} PEMS_SOURCES=${PEMS_SOURCES:-generated}
export PEMS_MONITOR_PUBLISH_PORT=${PEMS_MONITOR_PUBLISH_PORT:-18080}
export PEMS_INGEST_PUBLISH_PORT=${PEMS_INGEST_PUBLISH_PORT:-18081}
export PEMS_FORECASTER_PUBLISH_PORT=${PEMS_FORECASTER_PUBLISH_PORT:-18082}
export PEMS_OPTIMIZER_PUBLISH_PORT=${PEMS_OPTIMIZER_PUBLISH_PORT:-18083}
export PEMS_CONTROLLER_PUBLISH_PORT=${PEMS_CONTROLLER_PUBLISH_PORT:-18084}
export PEMS_FLOWER_PUBLISH_PORT=${PEMS_FLOWER_PUBLISH_PORT:-15555}
export PEMS_MQTT_PUBLISH_PORT=${PEMS_MQTT_PUBLISH_PORT:-11883}
export PEMS_LOXONE_UDP_PUBLISH_PORT=${PEMS_LOXONE_UDP_PUBLISH_PORT:-12000}
page=http://127.0.0.1:$PEMS_MONITOR_PUBLISH_PORT
optimizer=http://127.0.0.1:$PEMS_OPTIMIZER_PUBLISH_PORT
controller=http://127.0.0.1:$PEMS_CONTROLLER_PUBLISH_PORT
flower=http://127.0.0.1:$PEMS_FLOWER_PUBLISH_PORT
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() {
    say "FAILED: $*"
    "${compose[@]}" ps || true
    "${compose[@]}" logs --no-color --tail=20 || true
    exit 1
}
cleanup() {
    if [ -z "${KEEP:-}" ]; then "${compose[@]}" down -v --timeout 40 >/dev/null 2>&1 || true; fi
}
trap cleanup EXIT

get() { curl -fsS --noproxy '*' --max-time 5 "$@"; }
answer() { curl -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$@"; }
# field EXPRESSION: evaluates a Python expression over the controller's status `s`
field() { get "$controller/v1/status" | python3 -c "import json,sys; s=json.load(sys.stdin); print($1)"; }
wait_for() { # seconds, what, command...
    local begin what=$2
    local until=$((SECONDS + $1))
    begin=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || fail "$what"
        sleep 2
    done
    say "ok: $what ($((SECONDS - begin)) s)"
}
mode_share() { # mode: at least 90 % of room devices are in it
    [ "$(field "sum(d['mode']=='$1' for n,d in s['devices'].items() if n.startswith('room:')) >= 0.9*sum(n.startswith('room:') for n in s['devices'])")" = True ]
}
relays_acted() { [ "$(field "any(c['device'].startswith('room:') and not c['dry_run'] for c in s['last_actions'])")" = True ]; }
containers() { docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"; }
all_healthy() {
    local id state
    for id in $(containers); do
        state=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id")
        case $state in *" running healthy") ;; "init exited "*) ;; *) return 1 ;; esac
    done
}
started_at() { # when each service but init was started, by which container
    for id in $(containers); do
        docker inspect -f '{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}' "$id"
    done | grep -v '^init ' | sort
}
house_time() { "${compose[@]}" exec -T ingest python -c 'from pathlib import Path
from pems_common.clock import open_clock
print(open_clock(Path("/run-pems/clock.json")).now().isoformat(timespec="seconds"))'; }
inside() { "${compose[@]}" exec -T "$1" python -; } # runs standard input as Python in a service's container

say "$("${compose[@]}" version --short 2>/dev/null | head -1), building"
log=$("${compose[@]}" build 2>&1) || { tail -40 <<<"$log"; fail "the image cannot be built"; }
say "image: $(docker image inspect -f '{{.Size}}' pems:local | awk '{printf "%.0f MB", $1 / 1e6}')"
begin=$SECONDS
"${compose[@]}" up -d
wait_for 300 "all containers healthy" all_healthy
say "healthy $((SECONDS - begin)) s after up"
init_log=$("${compose[@]}" logs --no-color init)
printf '%s\n' "$init_log" | tail -4
[ "$(grep -c "shown this once" <<<"$init_log")" = 1 ] || fail "the page's password is not shown exactly once"
for id in $(containers); do
    user=$(docker inspect -f '{{.Name}} {{.HostConfig.ReadonlyRootfs}} {{.Config.User}}' "$id")
    case $user in *" true "[1-9]*) ;; *) fail "runs as root, or may write its own file system: $user" ;; esac
done
say "ok: every container runs as a plain user on a read-only file system"

wait_for 180 "a plan is made" get "$optimizer/v1/plan"
wait_for 180 "rooms follow the plan" mode_share mpc
wait_for 300 "relays act" relays_acted
code=$(answer -X POST "$optimizer/v1/plans")
[ "$code" = 401 ] || [ "$code" = 403 ] || fail "a new plan without a key was answered $code"
say "ok: writing needs a key ($code)"
[ "$(answer "$flower/")" = 401 ] || fail "Flower is open"
[ "$(answer "$flower/api/workers")" = 401 ] || fail "Flower's API is open"
password=$(printf '%s\n' "$init_log" | sed -n 's/.*Flower: user pems, password //p')
workers=$(get -u "pems:$password" "$flower/api/workers?refresh=1" | python3 -c 'import json,sys; print(*sorted(n.partition("@")[0] for n in json.load(sys.stdin)))')
[ "$workers" = "bulk plan" ] || fail "Flower sees the workers '$workers'"
say "ok: Flower asks for its password, and sees both workers"
[ "$(answer "$page/api/controller/v1/status")" = 401 ] || fail "the gateway is open"
password=$(printf '%s\n' "$init_log" | sed -n 's/.*shown this once: //p')
cookies=$(mktemp)
token=$(get -c "$cookies" "$page/login" | sed -n 's/.*name="token" value="\([^"]*\)".*/\1/p')
code=$(answer -b "$cookies" -c "$cookies" --data-urlencode "token=$token" --data-urlencode "password=$password" "$page/login")
[ "$code" = 303 ] || fail "init's password does not open the page ($code)"
grep -qi '<html' <<<"$(get -b "$cookies" "$page/")" || fail "no page"
get -b "$cookies" "$page/api/controller/v1/status" >/dev/null || fail "no gateway behind the login"
rm -f "$cookies"
say "ok: init's password opens the page and the gateway, nothing else does"

inside ingest <<'PYTHON' || fail "rights at the MQTT broker"
import threading
from pathlib import Path
import paho.mqtt.client as mqtt

heard, ready = [], threading.Event()


def connect(user, password=None):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="")  # the broker gives each its own
    client.username_pw_set(user, password or Path(f"/secrets/mqtt-{user}.password").read_text().strip())
    codes, known = [], threading.Event()
    client.on_connect = lambda c, u, f, code, p: (codes.append(code.is_failure), known.set())
    client.connect("mqtt", 1883)
    client.loop_start()
    assert known.wait(10), "the broker does not answer"
    return client, not codes[0]


listener, ok = connect("ingest")
assert ok
listener.on_message = lambda c, u, m: (heard.append((m.topic, m.payload)), ready.set() if m.payload == b"end" else None)
listener.on_subscribe = lambda *_: ready.set()
listener.subscribe("#", 1)
assert ready.wait(10)
ready.clear()
for user in ("house", "ingest", "device"):
    client, ok = connect(user)
    assert ok, user
    for topic in ("energy/solar/command/smoke", "pems/relay/smoke/set", "pems/active", "pems/home/controller", "ev/set"):
        client.publish(topic, "smoke", qos=1).wait_for_publish(10)
house, _ = connect("house")
house.publish("loxone/humidity/smoke", "end", qos=1).wait_for_publish(10)
assert ready.wait(10), "the house may not speak"
bad = [topic for topic, payload in heard if payload == b"smoke"]
assert not bad, f"commands by others than the controller came through: {bad}"
assert not connect("house", "wrong")[1], "a wrong password is taken"
PYTHON
say "ok: only the controller may command, and the broker knows its users"
inside ingest <<'PYTHON' || fail "rights at the Redis server"
from pathlib import Path
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

bus = Redis("redis", username="pems", password=Path("/secrets/redis.password").read_text().strip())
refused = bus.info("errorstats").get("errorstat_NOPERM")
assert refused is None, f"PEMS asked for what its user may not: {refused}, {bus.info('commandstats')}"
for ask in (Redis("redis").ping, bus.flushall):
    try:
        ask()
    except (AuthenticationError, NoPermissionError):
        continue
    raise AssertionError(f"{ask} was allowed")
PYTHON
say "ok: Redis asks for a password; nothing that PEMS does is refused, what it need not do is"

before=$(started_at)
"${compose[@]}" up -d >/dev/null 2>&1 || fail "a second up"
[ "$(started_at)" = "$before" ] || fail "a second up started something again"
"${compose[@]}" logs --no-color init | tail -2
[ "$("${compose[@]}" logs --no-color init | grep -c "shown this once")" -le 1 ] || fail "the password was shown twice"
mode_share mpc || fail "a second up disturbed the plan"
say "ok: a second up disturbs nothing"

"${compose[@]}" stop optimizer optimizer-worker
say "optimizer and its worker stopped"
wait_for 400 "rules took over" mode_share rule_based
"${compose[@]}" start optimizer-worker optimizer
wait_for 240 "the plan is back" mode_share mpc
wait_for 120 "all containers healthy again" all_healthy

containers | xargs docker inspect -f '{{if .State.Running}}{{.Name}}{{end}}' | sed '/^$/d' |
    xargs docker stats --no-stream --format '{{.Name}}  {{.MemUsage}}' | sort
killed=$(for id in $(containers); do docker inspect -f '{{if or .State.OOMKilled (gt .RestartCount 0)}}{{.Name}}{{end}}' "$id"; done)
[ -z "$killed" ] || fail "restarted or out of memory: $killed"
say "ok: nothing restarted by itself, no memory limit was met"

before=$(house_time)
"${compose[@]}" stop controller
left=$(docker inspect -f '{{.State.ExitCode}}' "$("${compose[@]}" ps -q controller)")
[ "$left" = 0 ] || fail "the controller ended with $left"
"${compose[@]}" logs --no-color --tail=6 controller
say "ok: the controller stopped cleanly"
"${compose[@]}" down --timeout 40 >/dev/null 2>&1
"${compose[@]}" up -d >/dev/null 2>&1 || fail "up after down"
wait_for 300 "all containers healthy after down and up" all_healthy
wait_for 240 "rooms follow the plan after down and up" mode_share mpc
later=$(house_time)
[[ $later > $before ]] || fail "house time went from $before to $later"
if "${compose[@]}" logs --no-color init | grep -q "shown this once"; then fail "a new password after down and up"; fi
say "ok: the same house goes on ($before -> $later)"
say "PASSED"
