"""Texts of the report in English and Czech."""

from typing import Any

from pems_monitor.domain.formats import LANGUAGES, Language

__all__ = ["TEXTS", "say"]

# key: (English, Czech)
TEXTS: dict[str, tuple[str, str]] = {
    "title": ("How the house did", "Jak si dům vedl"),
    "period": ("{first} to {last}", "{first} až {last}"),
    "made": ("Made at {at}, house time", "Vytvořeno {at}, čas domu"),
    "known": (
        "Measured: {known} of the time; cost known: {priced}.",
        "Naměřeno: {known} času; náklady známé: {priced}.",
    ),
    "unfinished": ("The last day is not over yet.", "Poslední den ještě neskončil."),
    "pending": ("{days} days are not counted yet: ask again later.", "{days} dnů ještě není spočteno: zkuste později."),
    "todo": ("What to do", "Co udělat"),
    "nothing": ("Nothing was found that needs you.", "Nic, co by vyžadovalo váš zásah."),
    "severity.critical": ("now", "hned"),
    "severity.warning": ("soon", "brzy"),
    "severity.info": ("good to know", "dobré vědět"),
    "money": ("Money and energy", "Peníze a energie"),
    "tile.cost": ("Energy cost", "Náklady na energii"),
    "tile.saved": ("Saved against the baseline", "Ušetřeno proti výchozímu stavu"),
    "tile.saved.assumed": ("Saved against an assumption", "Ušetřeno proti předpokladu"),
    "tile.self": ("PV used at home", "Výroba spotřebovaná doma"),
    "tile.peak": ("Highest import, 15 min", "Nejvyšší odběr, 15 min"),
    "tile.uptime": ("Controller uptime", "Řízení v chodu"),
    "tile.mpc": ("Following plans", "Řízeno plánem"),
    "tile.pv": ("PV energy", "Výroba"),
    "tile.comfort": ("Rooms in their band", "Pokoje v pásmu"),
    "tile.cycles": ("Battery cycles", "Cykly baterie"),
    "tile.solve": ("Plan found in, mean", "Plán nalezen za, průměr"),
    "chart.cost": ("Cost per day [Kč]", "Náklady za den [Kč]"),
    "chart.energy": ("Energy per day [kWh]", "Energie za den [kWh]"),
    "chart.hours": ("Energy per hour [kWh]", "Energie za hodinu [kWh]"),
    "chart.pv": ("PV forecast error, MAE [W]", "Chyba předpovědi výroby, MAE [W]"),
    "chart.load": ("Load forecast error, MAE [W]", "Chyba předpovědi spotřeby, MAE [W]"),
    "chart.thermal": ("Room temperature error, MAE [°C]", "Chyba teploty pokojů, MAE [°C]"),
    "chart.peak": ("Highest import of the day, 15 min [kW]", "Nejvyšší odběr dne, 15 min [kW]"),
    "chart.control": ("Time in service and by plan [%]", "Čas v chodu a podle plánu [%]"),
    "cost": ("cost", "náklady"),
    "baseline": ("baseline, same weather", "výchozí stav, stejné počasí"),
    "baseline.flat": ("baseline", "výchozí stav"),
    "pv_used": ("PV used", "spotřebovaná výroba"),
    "import": ("import", "odběr"),
    "export": ("export", "dodávka"),
    "lead": ("{hours} h ahead", "{hours} h dopředu"),
    "uptime": ("controller runs", "řízení běží"),
    "mpc": ("follows plans", "podle plánu"),
    "peak": ("import", "odběr"),
    "peak.head": ("peak", "špička"),
    "savings": ("What is saved", "Co se ušetřilo"),
    "before": ("Before and after", "Před a po"),
    "before.row": (
        "Baseline {before} a day, lately {after} a day over {days} days: {saved} a day ({share}), {month} a month,"
        " {year} a year.",
        "Výchozí stav {before} denně, nedávno {after} denně ({days} dnů): {saved} denně ({share}), {month} za měsíc,"
        " {year} za rok.",
    ),
    "before.corrected": (
        "At the same weather: {saved} a day ({share}). Baseline: {base} + {slope} per degree day, fitted on {days}"
        " days, R² {r2}, residual {rest}.",
        "Při stejném počasí: {saved} denně ({share}). Výchozí stav: {base} + {slope} na denostupeň, z {days} dnů,"
        " R² {r2}, zbytek {rest}.",
    ),
    "before.uncorrected": (
        "Not corrected for weather: that takes five baseline days of differing temperature.",
        "Bez opravy na počasí: k té je třeba pěti výchozích dnů s různou teplotou.",
    ),
    "trial": ("Days with plans against days without", "Dny s plánem proti dnům bez něj"),
    "trial.row": (
        "{saved} a day ({share}), 90 % sure to lie between {low} and {high}; {with_days} days against {without_days}.",
        "{saved} denně ({share}), na 90 % mezi {low} a {high}; {with_days} dnů proti {without_days}.",
    ),
    "trial.hdd": ("Made equal in heating degree days.", "Srovnáno na stejné denostupně."),
    "trial.raw": ("Not corrected for weather.", "Bez opravy na počasí."),
    "foreseen": ("What plans expect", "Co čekají plány"),
    "foreseen.row": (
        "{saved} a day against the rules, wear and comfort counted. Foreseen by the planner, not measured.",
        "{saved} denně proti pravidlům, s opotřebením a pohodlím. Předpoklad plánovače, ne měření.",
    ),
    "foreseen.none": ("No plan told.", "Žádný plán to neřekl."),
    "no_baseline_data": (
        "No baseline data available: name days before PEMS with --baseline-from and --baseline-to, or let it run in"
        " shadow for a week.",
        "Výchozí data nejsou: určete dny bez PEMS přes --baseline-from a --baseline-to, nebo nechte PEMS týden jen"
        " přihlížet.",
    ),
    "no_recent_data": ("No recent data available.", "Nedávná data nejsou."),
    "too_few_days": ("Too few days to tell: {detail}.", "Málo dnů: {detail}."),
    "assumed": (
        "No day without PEMS was measured. The baseline of {cost} a day, {rate} self-consumption and {peak} is an"
        " assumption, not your house.",
        "Žádný den bez PEMS nebyl změřen. Výchozí stav {cost} denně, vlastní spotřeba {rate} a {peak} je předpoklad,"
        " ne váš dům.",
    ),
    "forecasts": ("Forecasts and plans", "Předpovědi a plány"),
    "forecasts.row": ("Forecast", "Předpověď"),
    "forecasts.pv": ("PV", "výroba"),
    "forecasts.load": ("load", "spotřeba"),
    "forecasts.thermal": ("room temperature", "teplota pokojů"),
    "control": ("Control", "Řízení"),
    "control.row": (
        "{switches} mode switches, {violations} times a hard limit was broken ({minutes} min). Without a fresh"
        " plan of the optimizer: {planless} of the time. {plans} plans, the slowest took {slowest}.",
        "{switches} změn režimu, {violations}× porušen pevný limit ({minutes} min). Bez čerstvého plánu: {planless}"
        " času. Plánů {plans}, nejpomalejší {slowest}.",
    ),
    "rooms": ("Rooms", "Pokoje"),
    "room": ("room", "pokoj"),
    "inside": ("in band", "v pásmu"),
    "below": ("below", "pod"),
    "heat": ("heat", "teplo"),
    "sensor": ("measured", "měřeno"),
    "error": ("error 6 h / 24 h", "chyba 6 h / 24 h"),
    "days": ("Days", "Dny"),
    "day": ("day", "den"),
    "saved": ("saved", "ušetřeno"),
    "self": ("PV used", "vlastní sp."),
    "pv": ("PV", "výroba"),
    "cycles": ("cycles", "cykly"),
    "outdoor": ("outdoors", "venku"),
    "mae": ("MAE", "MAE"),
    "rmse": ("RMSE", "RMSE"),
    "bias": ("bias", "posun"),
    "band": ("inside P10–P90", "v P10–P90"),
    "judged": ("judged", "posouzeno"),
    "s": ("{value} s", "{value} s"),
    "more": ("More figures", "Další údaje"),
    "more.possible": ("PV used, of what could have been made", "Spotřeba z možné výroby"),
    "more.sufficiency": ("Load not imported", "Spotřeba bez odběru"),
    "more.battery": ("Battery's gain, wear not counted", "Zisk baterie bez opotřebení"),
    "more.heating": ("Heat given where it was asked for", "Teplo tam, kde bylo třeba"),
    "more.buy": ("Paid for import", "Cena odběru"),
    "more.sell": ("Earned by export", "Cena dodávky"),
    "foot": (
        "Unknown is shown as –. PV that was held back judges no forecast. How figures are made: docs/performance.md.",
        "Neznámé je –. Omezená výroba předpověď nehodnotí. Jak údaje vznikají: docs/performance.md.",
    ),
    "empty": ("No data available for the period.", "Pro toto období nejsou data."),
}


def say(key: str, lang: Language, **fields: Any) -> str:
    """A text with its fields filled in."""
    return TEXTS[key][LANGUAGES.index(lang)].format(**fields)
