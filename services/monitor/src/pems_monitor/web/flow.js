// Power flows of the house. All text comes in as plain strings and is shown by Vue's interpolation (escaped).
const ICONS = {
  pv: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10ZM12 1.5v2M12 20.5v2M1.5 12h2M20.5 12h2M4.6 4.6 6 6M18 18l1.4 1.4M4.6 19.4 6 18M18 6l1.4-1.4",
  grid: "M8 22 10.5 8h3L16 22M9.3 15h5.4M5 8h14M7 4.5h10M10.5 8 9.8 4.5M13.5 8l.7-3.5M12 1.5v3M5 8v2M19 8v2",
  battery: "M5 8.5A1.5 1.5 0 0 1 6.5 7h11A1.5 1.5 0 0 1 19 8.5v8a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 16.5ZM19 11h2v3h-2M12.8 8.8 10 12.8h4l-2.8 4",
  house: "M3 11.5 12 4l9 7.5M5.5 9.5V20h13V9.5M10 20v-5.5h4V20",
  heating: "M8 3c-1.5 2 1.5 3.5 0 6M12 3c-1.5 2 1.5 3.5 0 6M16 3c-1.5 2 1.5 3.5 0 6M5 12.5v8M9.7 12.5v8M14.3 12.5v8M19 12.5v8M3.5 14h17M3.5 19h17",
  ev: "M4 16.5v-4l2-5.5h9l3 5.5 2.5 1v3H19M15 16.5H8.5M7 18.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6ZM17 18.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6ZM5.5 11.5h12M11 7v4.5",
  water: "M12 2.5c3.5 4.5 6 7.5 6 11a6 6 0 0 1-12 0c0-3.5 2.5-6.5 6-11ZM9 14a3 3 0 0 0 3 3",
};

export default {
  template: `
    <svg class="flow" :viewBox="'0 0 420 ' + height" role="img" :aria-label="label">
      <g v-for="link in links" :key="link.id">
        <path class="flow-pipe" :d="link.path" />
        <path v-if="link.speed > 0" class="flow-run" :class="['c-' + link.color, 's-' + link.speed, link.back ? 'back' : '']"
              :d="link.path" />
      </g>
      <circle class="flow-hub" :cx="hub[0]" :cy="hub[1]" r="7" />
      <g v-for="node in nodes" :key="node.id" :class="['flow-node', 'c-' + node.color, node.dim ? 'dim' : '']"
         :transform="'translate(' + node.x + ' ' + node.y + ')'">
        <circle class="flow-disc" :r="node.r" />
        <circle v-if="node.ring !== null" class="flow-ring-back" :r="node.r" />
        <circle v-if="node.ring !== null" class="flow-ring" :r="node.r" pathLength="100"
                :stroke-dasharray="node.ring + ' 100'" transform="rotate(-90)" />
        <g class="flow-icon" :transform="'translate(' + (-node.icon / 2) + ' ' + (node.iconY - node.icon / 2) + ') scale(' + node.icon / 24 + ')'">
          <path :d="icon(node.kind)" />
        </g>
        <text class="flow-value" :class="node.big ? 'big' : ''" :y="node.valueY">{{ node.value }}</text>
        <text class="flow-name" :y="node.nameY">{{ node.name }}</text>
        <text class="flow-below" :y="node.belowY">{{ node.below }}</text>
      </g>
    </svg>`,
  props: {
    nodes: Array,
    links: Array,
    hub: Array,
    height: Number,
    label: String,
  },
  methods: {
    icon(kind) {
      return ICONS[kind] || ICONS.house;
    },
  },
};
