import qdrant_edge as edge

from adapters import Adapter

BATCH = 1000
# Its default: below so many KB of vectors a segment is scanned, whatever the effort.
SCANNED_KB = 10_000


class Peer(Adapter):
    PACKAGE = "qdrant-edge-py"
    SETTINGS = "HNSW, turbo4 codes, rescored (2 x k), m 16, ef_construct 200"
    DURABLE = True

    def config(self, dim):
        distance = edge.Distance.Dot if self.metric == "dot" else edge.Distance.Euclid
        codes = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, always_ram=True)
        # One segment whatever its size, as the other engines have one graph.
        segments = edge.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=10_000_000, indexing_threshold=1000)
        return edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(dim, distance),
            hnsw_config=edge.HnswIndexConfig(16, 200, SCANNED_KB, max_indexing_threads=self.threads),
            quantization_config=codes,
            optimizers=segments,
            max_search_threads=1,
        )

    def build(self, rows, folder):
        self.shard = edge.EdgeShard.create(folder, self.config(rows.shape[1]))
        for start in range(0, len(rows), BATCH):
            batch = rows[start:start + BATCH].tolist()
            points = [edge.Point(start + i, vector, None) for i, vector in enumerate(batch)]
            self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.shard.optimize()
        self.shard.flush()

    def open(self, folder, dim):
        self.shard = edge.EdgeShard.load(folder, self.config(dim))

    def effort(self, value):
        rescored = edge.QuantizationSearchParams(rescore=True, oversampling=2.0)
        self.search = edge.SearchParams(hnsw_ef=value, quantization=rescored)

    def ask(self, query):
        nearest = edge.Query.Nearest(query.tolist())
        request = edge.SearchRequest(nearest, self.k, params=self.search, with_payload=False, with_vector=False)
        return [point.id for point in self.shard.search(request)]

    def close(self):
        self.shard.close()
