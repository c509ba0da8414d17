"""EnergyDataset as an Arrow IPC stream; pyarrow is loaded when the first one is asked for."""

from pems_ingest.domain.dataset import EnergyDataset, group_of

__all__ = ["ARROW_STREAM", "to_arrow"]

ARROW_STREAM = "application/vnd.apache.arrow.stream"


def to_arrow(dataset: EnergyDataset) -> bytes:
    """Return the dataset as an Arrow stream: `slot_start` (UTC, us) and one float64 column per series.

    Each field's metadata names its group.
    """
    import pyarrow as pa

    fields = [pa.field("slot_start", pa.timestamp("us", tz="UTC"), nullable=False)]
    arrays = [pa.array(dataset.slot_starts, type=fields[0].type)]
    for series, column in dataset.columns.items():
        fields.append(pa.field(series, pa.float64(), metadata={"group": group_of(series)}))
        arrays.append(pa.array(column, type=pa.float64()))
    schema = pa.schema(fields, metadata={"step_s": str(dataset.step_s)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table(arrays, schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data
