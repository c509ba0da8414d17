"""The drift test in a process of its own: daily skills as JSON on standard input, `true` or `false` on the output."""

import json
import sys

from pems_forecaster.domain.drift import drifted

if __name__ == "__main__":
    print(json.dumps(drifted([float(skill) for skill in json.load(sys.stdin)])))
