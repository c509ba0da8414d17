"""Pure logic of the forecaster: arrays and message bodies in, arrays and message bodies out."""
