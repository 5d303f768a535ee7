"""The page's style sheet. Dark mode swaps the tokens; s0 ... s7 are viridis, cut to what each ground can show."""

from hpsearch.study_report.svg import hexed, viridis

_SHADES = 8


def _shades(low: float, high: float) -> str:
    return "".join(
        f"--s{i}:{hexed(viridis(low + (high - low) * i / (_SHADES - 1)))};" for i in range(_SHADES)
    )


_CLASSES = "".join(f".s{i}{{--ink:var(--s{i})}}" for i in range(_SHADES))

STYLE = (
    f":root{{color-scheme:light dark;{_shades(0.0, 0.85)}"
    """
--ground:#f6f7f9;--card:#fff;--text:#1c2330;--quiet:#5c6675;--rule:#e2e6ec;--grid:#edf0f4;--band:#009e7326;
--good:#00795a;--warn:#9a5b00;--bad:#b3400b;--accent:#d55e00;--tint:#0072b214}
@media(prefers-color-scheme:dark){:root{"""
    f"{_shades(0.25, 1.0)}"
    """
--ground:#12161d;--card:#1a2029;--text:#e6eaf0;--quiet:#98a3b3;--rule:#2b3442;--grid:#252d39;--band:#009e7340;
--good:#3ecfa3;--warn:#f0b44c;--bad:#ff8a5c;--accent:#ff9a52;--tint:#56b4e91f}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:28px;margin:0;letter-spacing:-.01em}
h2{font-size:17px;margin:0 0 8px;display:flex;align-items:center;gap:8px}
p{margin:6px 0}
.facts,footer,.aside,figcaption,summary{color:var(--quiet)}
.pill{font-size:13px;font-weight:600;vertical-align:5px;padding:2px 10px;border-radius:99px;background:var(--tint);color:var(--quiet)}
.pill.completed{color:var(--good)}.pill.failed,.pill.cancelled{color:var(--bad)}
.reason{color:var(--bad)}
.card,.answer{background:var(--card);border:1px solid var(--rule);border-radius:12px;padding:18px 20px;margin-top:16px}
.answer{display:grid;gap:14px}
.figures{display:flex;gap:36px;flex-wrap:wrap}
.figure b{display:block;font-size:22px;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
.figure.main b{font-size:40px;color:var(--good)}
.figure small{font-size:.5em;font-weight:500;color:var(--quiet)}
.figure span{color:var(--quiet)}
.figure{align-self:end}
.params{display:flex;flex-wrap:wrap;gap:8px;margin:0}
.params div{display:flex;gap:8px;border:1px solid var(--rule);border-radius:8px;padding:3px 10px}
.params dt{color:var(--quiet)}.params dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}
.rail{list-style:none;display:flex;flex-wrap:wrap;gap:6px;padding:0;margin:16px 0 0}
.rail a{display:block;padding:4px 12px;border-radius:99px;background:var(--card);border:1px solid var(--rule);color:inherit;text-decoration:none;font-size:13px}
.rail a:hover{border-color:var(--quiet)}
.mark{font-weight:700}
.passed .mark{color:var(--good)}.warned .mark{color:var(--warn)}.failed .mark{color:var(--bad)}
.card.warned{border-left:4px solid var(--warn)}.card.failed{border-left:4px solid var(--bad)}.card.passed{border-left:4px solid var(--good)}
.step{display:inline-grid;place-items:center;width:26px;height:26px;border-radius:50%;background:var(--tint);font-size:14px}
.aside{margin-left:auto;font-size:13px;font-weight:400}
code{font:12px ui-monospace,monospace;background:var(--tint);padding:2px 6px;border-radius:5px}
.verdict{font-size:16px}
.remedy{background:var(--tint);border-radius:8px;padding:8px 12px}
.remedy b{margin-right:6px}
.proof caption{text-align:left;white-space:nowrap;font-weight:600;padding-bottom:2px}
details{margin-top:8px}summary{cursor:pointer;font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;margin-top:6px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--quiet)}
td,th{padding:3px 14px 3px 0;border-bottom:1px solid var(--grid);vertical-align:top}
td.number{text-align:right}
.good td:nth-child(4){color:var(--good)}.bad td:nth-child(4),.bad td:nth-child(2){color:var(--bad);font-weight:600}
.figures-row{display:flex;flex-wrap:wrap;gap:12px 24px;margin-top:10px}
.figures-row details{flex:1 1 420px;min-width:0;margin:0}
figure{margin:0;flex:1 1 420px;max-width:520px}
figcaption{font-size:12.5px;padding-left:54px}
svg{max-width:100%;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--quiet)}
svg .title{font-size:11.5px}svg .note{fill:var(--text)}
svg .on-dark{fill:#fff;font-weight:600}svg .on-light{fill:#111;font-weight:600}
.grid{stroke:var(--grid)}.axis{stroke:var(--quiet);opacity:.6}
.line{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-linejoin:round}
.dashed{stroke-dasharray:5 4}.faint{opacity:.4}
.dot{fill:var(--ink);stroke:none;opacity:.75}
.winner{--ink:var(--accent)}.line.winner{stroke-width:2.6}
.cross{stroke:var(--ink);stroke-width:2.4;fill:none}
.band{fill:var(--band)}.expected{stroke:var(--good);stroke-width:2;stroke-dasharray:4 3}
.cell.best{stroke:var(--accent);stroke-width:3}.lost{fill:none;stroke:var(--rule);stroke-dasharray:4 3}
.key{display:inline-flex;align-items:center;gap:5px;margin-right:12px}
.key i{width:16px;height:3px;border-radius:2px;background:var(--ink)}
footer{margin-top:24px;font-size:13px}
@media print{body{background:#fff}.card,.answer{break-inside:avoid}}
""" + _CLASSES
)
