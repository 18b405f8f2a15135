"""How panels of Tertium's dashboards look, so that a dashboard is a list of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
SHARE = "percentunit"
PER_SECOND = "ops"
SECONDS = "s"
PLAIN = "short"
HALF = 12
THIRD = 8
QUARTER = 6
_HEIGHT = 8
_STAT_HEIGHT = 4
_FILL = 12

COLORS = {"yes": "green", "no": "red", "maybe": "orange"}
"""Of verdicts, everywhere."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks Prometheus for."""

    expr: str
    legend: str = ""
    """Of each series; braces name labels."""


Panel = timeseries.Panel | stat.Panel | heatmap.Panel
_Asking = TypeVar("_Asking", timeseries.Panel, stat.Panel)


def lines(
    title: str,
    why: str,
    queries: Sequence[Query],
    unit: str = PLAIN,
    *,
    span: int = HALF,
    stacked: bool = False,
    least: float | None = 0.0,
    most: float | None = None,
) -> timeseries.Panel:
    """Lines over time. ``why``: what the panel is there for, and what to do about it."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(why)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(span)
        .height(_HEIGHT)
        .line_width(1)
        .fill_opacity(_FILL)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL)).fill_opacity(60)
    if least is not None:
        panel = panel.min(least)
    if most is not None:
        panel = panel.max(most)
    for name, color in COLORS.items():
        panel = panel.override_by_name(name, [_fixed(color)])
    return _asking(panel, queries)


def band(title: str, why: str, figure: str, threshold: str) -> timeseries.Panel:
    """An estimate with its interval as a band, by every method, beside its target; one panel for each class."""
    chosen = 'class="$class", window="$window"'
    audit = f'{chosen}, method="audit"'
    queries = [
        Query(f"max(tertium_{figure}_estimate_upper_ratio{{{audit}}})", "upper"),
        Query(f"max(tertium_{figure}_estimate_lower_ratio{{{audit}}})", "lower"),
        Query(f"max by (method) (tertium_{figure}_estimate_ratio{{{chosen}}})", "{{method}}"),
        Query(f"max(tertium_threshold:{threshold})", "target"),
    ]
    edge = [
        _property("custom.lineWidth", 0),
        _property("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False}),
    ]
    band_color = _fixed("blue")
    return (
        lines(title, why, queries, SHARE, most=1.0)
        .fill_opacity(0)
        .repeat("class")
        .repeat_direction("h")
        .max_per_row(2)
        .override_by_name(
            "upper", [*edge, band_color, _property("custom.fillBelowTo", "lower"), _property("custom.fillOpacity", 20)]
        )
        .override_by_name("lower", [*edge, band_color])
        .override_by_name("audit", [_fixed("blue"), _property("custom.lineWidth", 2)])
        .override_by_name("calibrated", [_fixed("orange"), _dashed()])
        .override_by_name("frame_audit", [_fixed("purple")])
        .override_by_name("truth", [_fixed("green")])
        .override_by_name("target", [_fixed("red"), _dashed(), _property("custom.fillOpacity", 0)])
    )


def number(title: str, why: str, queries: Sequence[Query], unit: str = PLAIN, *, span: int = 4) -> stat.Panel:
    """The newest value, large."""
    panel = (
        stat.Panel()
        .title(title)
        .description(why)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(span)
        .height(_STAT_HEIGHT)
        .color_mode(common_models.BigValueColorMode.NONE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _asking(panel, queries)


def names(title: str, why: str, queries: Sequence[Query], *, span: int = 8) -> stat.Panel:
    """The labels of a metric that is always 1."""
    return (
        number(title, why, queries, span=span)
        .text_mode(common_models.BigValueTextMode.NAME)
        .graph_mode(common_models.BigValueGraphMode.NONE)
    )


def heat(title: str, why: str, expr: str, unit: str, *, span: int = HALF) -> heatmap.Panel:
    """A histogram over time."""
    panel = (
        heatmap.Panel()
        .title(title)
        .description(why)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(span)
        .height(_HEIGHT)
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
    )
    return panel.with_target(_target(Query(expr, "{{le}}"), "A").format(PromQueryFormat.HEATMAP))


def board(uid: str, title: str, about: str, others: Sequence[tuple[str, str]]) -> dashboard.Dashboard:
    """An empty dashboard that asks which Prometheus, and leads to the others (uid, title)."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["tertium"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for other, name in others:
        made = made.link(
            dashboard.DashboardLink(name).type(models.DashboardLinkType.LINK).url(f"/d/{other}").keep_time(True)
        )
    return made


def choice(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """A variable of a label's values; all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def one_of(name: str, label: str, values: Sequence[str], current: str) -> dashboard.CustomVariable:
    """A variable of fixed values."""
    option = models.VariableOption(text=current, value=current, selected=True)
    return dashboard.CustomVariable(name).label(label).values(",".join(values)).current(option)


def quantiles(buckets: str, which: Mapping[float, str], by: str = "") -> list[Query]:
    """Quantiles of a histogram, for each value of a label where one is named."""
    labels, legend = (f"{by}, le", f"{{{{{by}}}}}, ") if by else ("le", "")
    return [
        Query(f"histogram_quantile({each}, sum by ({labels}) (rate({buckets}[$__rate_interval])))", legend + name)
        for each, name in which.items()
    ]


def _asking(panel: _Asking, queries: Sequence[Query]) -> _Asking:
    for place, query in enumerate(queries):
        panel = panel.with_target(_target(query, chr(ord("A") + place)))
    return panel


def _target(query: Query, name: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).ref_id(name).expr(query.expr)
    return target.legend_format(query.legend) if query.legend else target


def _property(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)


def _fixed(color: str) -> models.DynamicConfigValue:
    return _property("color", {"mode": "fixed", "fixedColor": color})


def _dashed() -> models.DynamicConfigValue:
    return _property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})


def filled(made: dashboard.Dashboard, rows: Sequence[tuple[str, Sequence[Panel]]]) -> dashboard.Dashboard:
    """A dashboard with rows of panels; the first row needs no title."""
    for title, row in rows:
        if title:
            made = made.with_row(dashboard.Row(title))
        for panel in row:
            made = made.with_panel(panel)
    return made
