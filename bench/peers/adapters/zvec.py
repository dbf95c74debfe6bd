import zvec

from adapters import Adapter

BATCH = 1000
FIELD = "vector"

zvec.init(query_threads=1, log_level=zvec.LogLevel.ERROR)


class Peer(Adapter):
    PACKAGE = "zvec"
    SETTINGS = "HNSW, i8 codes, refined, m 32, ef_construction 200"
    DURABLE = True

    def build(self, rows, folder):
        metric = zvec.MetricType.IP if self.metric == "dot" else zvec.MetricType.L2
        graph = zvec.HnswIndexParam(metric, m=32, ef_construction=200, quantize_type=zvec.QuantizeType.INT8)
        column = zvec.VectorSchema(FIELD, zvec.DataType.VECTOR_FP32, rows.shape[1], index_param=graph)
        self.collection = zvec.create_and_open(folder, zvec.CollectionSchema("rows", vectors=[column]))
        for start in range(0, len(rows), BATCH):
            batch = [zvec.Doc(id=str(start + i), vectors={FIELD: row}) for i, row in enumerate(rows[start:start + BATCH])]
            refused = [status for status in self.collection.insert(batch) if not status.ok()]
            if refused:
                raise RuntimeError(f"rows from {start} on were refused: {refused[0]}")
        self.collection.flush()
        self.collection.optimize(zvec.OptimizeOption(concurrency=self.threads))
        self.collection.flush()

    def open(self, folder, dim):
        self.collection = zvec.open(folder)

    def effort(self, value):
        self.search = zvec.HnswQueryParam(ef=value, is_using_refiner=True)

    def ask(self, query):
        nearest = zvec.Query(FIELD, vector=query, param=self.search)
        return [int(found.id) for found in self.collection.query(queries=nearest, topk=self.k, output_fields=[])]

    def close(self):
        self.collection.close()
