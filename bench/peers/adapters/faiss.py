import os

import faiss

from adapters import Adapter

# Candidates that are re-ranked on the stored vectors, in multiples of k; no more than the effort has found.
REFINED_MAX = 4


class Peer(Adapter):
    PACKAGE = "faiss-cpu"
    SETTINGS = "HNSW16 on SQ8, refined on f32, efConstruction 200"

    def build(self, rows, folder):
        faiss.omp_set_num_threads(self.threads)
        metric = faiss.METRIC_INNER_PRODUCT if self.metric == "dot" else faiss.METRIC_L2
        self.index = faiss.index_factory(rows.shape[1], "HNSW16,SQ8,RFlat", metric)
        faiss.downcast_index(self.index.base_index).hnsw.efConstruction = 200
        self.index.train(rows)
        self.index.add(rows)

    def save(self, folder):
        faiss.write_index(self.index, os.path.join(folder, "index"))

    def open(self, folder, dim):
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(os.path.join(folder, "index"))
        self.graph = faiss.downcast_index(self.index.base_index).hnsw

    def effort(self, value):
        self.graph.efSearch = value
        self.index.k_factor = max(1.0, min(value / self.k, REFINED_MAX))

    def ask(self, query):
        return self.index.search(query[None], self.k)[1][0]
