// Constant helpers of the plan chart: axis labels that fit the zoom, and a tooltip built from text nodes only.
window.pemsChart = {
  // Hours between labels so that they keep apart at the present zoom and width.
  step(id) {
    let hours = 60;
    let width = 900;
    const chart = window.getElement && getElement(id) && getElement(id).chart;
    if (chart) {
      width = chart.getWidth() - 90;
      const zoom = chart.getModel && chart.getModel() && chart.getModel().getComponent("dataZoom", 0);
      const range = zoom && zoom.getPercentRange && zoom.getPercentRange();
      if (range) hours = (60 * (range[1] - range[0])) / 100;
    }
    const least = (52 * hours) / Math.max(120, width);
    return [0.25, 0.5, 1, 2, 3, 6, 12].find((step) => step >= least) || 24;
  },
  shown(id, text) {
    const step = this.step(id);
    const minutes = Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16));
    return minutes % (step * 60) === 0;
  },
  day(text, lang) {
    const at = new Date(text.slice(0, 10) + "T12:00:00Z");
    return at.toLocaleDateString(lang === "cs" ? "cs-CZ" : "en-GB", {
      weekday: "short",
      day: "numeric",
      month: "numeric",
      timeZone: "UTC",
    });
  },
  label(text, lang) {
    const time = text.slice(11, 16);
    return time === "00:00" ? "{day|" + this.day(text, lang) + "}" : time;
  },
  // A bar from the first to the last slot of a span, without seams.
  span(params, api) {
    const slot = api.size([1, 0])[0];
    const x = api.coord([api.value(0), 0])[0] - slot / 2;
    const left = Math.max(x, params.coordSys.x);
    const right = Math.min(x + (api.value(1) - api.value(0) + 1) * slot, params.coordSys.x + params.coordSys.width);
    if (right <= left) return null;
    const shape = { x: left, y: params.coordSys.y, width: right - left, height: params.coordSys.height };
    return { type: "rect", shape, style: { fill: api.visual("color") } };
  },
  number(value, digits, lang) {
    return value.toLocaleString(lang === "cs" ? "cs-CZ" : "en-GB", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  },
  // rows: [[label, kind, ids...]]; kinds: value (first id that has one), band (base id, width id), text.
  tooltip(params, lang, rows) {
    const found = {};
    for (const item of params) {
      const raw = item.data !== null && typeof item.data === "object" ? item.data.value : item.data;
      if (raw !== null && raw !== undefined && raw !== "-") found[item.seriesId] = item;
    }
    const value = (id) => {
      const data = found[id].data;
      return data !== null && typeof data === "object" ? data.value : data;
    };
    const box = document.createElement("div");
    box.className = "tip";
    const head = document.createElement("div");
    head.className = "tip-head";
    const at = params[0].axisValue;
    head.textContent = this.day(at, lang) + "  " + at.slice(11, 16);
    box.append(head);
    for (const row of rows) {
      const id = row.ids.find((one) => found[one]);
      if (!id) continue;
      const line = document.createElement("div");
      line.className = "tip-row";
      const dot = document.createElement("i");
      dot.style.background = row.color;
      const name = document.createElement("span");
      name.textContent = row.name;
      const number = document.createElement("b");
      if (row.text) {
        number.textContent = found[id].data.label_text || "";
      } else {
        number.textContent = this.number(value(id), row.digits, lang) + "\u00a0" + row.unit;
      }
      line.append(dot, name, number);
      if (row.band && found[row.band[0]] && found[row.band[1]]) {
        const low = value(row.band[0]);
        const range = document.createElement("em");
        range.textContent =
          this.number(low, row.digits, lang) + "–" + this.number(low + value(row.band[1]), row.digits, lang);
        line.append(range);
      }
      box.append(line);
    }
    return box;
  },
};
