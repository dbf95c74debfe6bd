import os

import hnswlib

from adapters import Adapter


class Peer(Adapter):
    PACKAGE = "hnswlib"
    SETTINGS = "HNSW, f32, M 16, ef_construction 200"

    def new(self, dim):
        return hnswlib.Index("ip" if self.metric == "dot" else "l2", dim)

    def build(self, rows, folder):
        self.index = self.new(rows.shape[1])
        self.index.init_index(len(rows), M=16, ef_construction=200)
        self.index.add_items(rows, num_threads=self.threads)

    def save(self, folder):
        self.index.save_index(os.path.join(folder, "index"))

    def open(self, folder, dim):
        self.index = self.new(dim)
        self.index.load_index(os.path.join(folder, "index"))
        self.index.set_num_threads(1)

    def effort(self, value):
        self.index.set_ef(value)

    def ask(self, query):
        return self.index.knn_query(query, self.k, num_threads=1)[0][0]
