# A database in a granted folder: write-ahead log with its shared memory file, locks between processes.
import multiprocessing
import sqlite3

from common import PROJECT, done, works


def insert(number):
    with sqlite3.connect(PROJECT + "/data.db", timeout=10) as database:
        database.execute("insert into t values (?)", (number,))


database = sqlite3.connect(PROJECT + "/data.db")
works(database.execute("pragma journal_mode=wal").fetchone()[0] == "wal", "write-ahead log")
database.execute("create table t (n)")
database.commit()
workers = [multiprocessing.Process(target=insert, args=(number,)) for number in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
works(database.execute("select sum(n) from t").fetchone()[0] == 6, "what the other processes inserted")
database.execute("vacuum")
done()
