"""Wrong calls written by hand, one a line.

`{run}` is a run folder, `{photos}` and `{masks}` are folders of PNG files, `{empty}` is an empty folder, `{text}` a text file,
`{study}` a study, `{q}` the quickstart, and `{new}` a path that does not exist.
"""

CALLS = """
fit
fit --config
fit --config {empty}
fit --config {photos}
fit --config {photos}/0.png
fit --config nowhere.yaml
fit --config {text}
fit --config {q} --config nowhere.yaml
fit --config cracklab:quickstrat
fit --config {q} --trainer.devices 0
fit --config {q} --trainer.devices -3
fit --config {q} --trainer.devices x
fit --config {q} --trainer.accelerator gpu
fit --config {q} --trainer.strategy ddpp
fit --config {q} --trainer.precision 8
fit --config {q} --trainer.precision 16-true
fit --config {q} --trainer.limit_train_batches -1
fit --config {q} --trainer.limit_val_batches 2.5
fit --config {q} --trainer.gradient_clip_val -1
fit --config {q} --trainer.gradient_clip_algorithm foo
fit --config {q} --trainer.val_check_interval 0
fit --config {q} --trainer.val_check_interval 1000000
fit --config {q} --trainer.max_epochs 0
fit --config {q} --trainer.max_epochs 1.5
fit --config {q} --trainer.max_time yesterday
fit --config {q} --trainer.num_nodes 0
fit --config {q} --trainer.num_sanity_val_steps -7
fit --config {q} --trainer.overfit_batches -1
fit --config {q} --trainer.profiler fancy
fit --config {q} --trainer.callbacks nowhere.Callback
fit --config {q} --trainer.callbacks torch.nn.ReLU
fit --config {q} --trainer.logger nowhere.Logger
fit --config {q} --trainer.plugins foo
fit --config {q} --trainer.benchmark maybe
fit --config {q} --trainer.detect_anomaly 3
fit --config {q} --model.net torch.nn.ReLU
fit --config {q} --model.net torch.nn.Linear
fit --config {q} --model.net os.system
fit --config {q} --model.net print
fit --config {q} --model.net unett
fit --config {q} --model.net segmentation_models_pytorch.Unet --model.net.encoder_name resnet19
fit --config {q} --model.net segmentation_models_pytorch.Unet --model.net.encoder_weights imagenett
fit --config {q} --model.net segmentation_models_pytorch.Unet --model.net.encoder_depth 9
fit --config {q} --model.net segmentation_models_pytorch.Unet --model.net.encoder_nme resnet18
fit --config {q} --model.loss torch.nn.CTCLoss
fit --config {q} --model.loss torch.nn.ReLU
fit --config {q} --model.loss torch.nn.CosineEmbeddingLoss
fit --config {q} --model.loss distance_aware --model.loss.beta x
fit --config {q} --model.loss distance_aware --model.loss.gama 1
fit --config {q} --model.loss tversky --model.loss.alpha -1
fit --config {q} --model.loss focal --model.loss.gamma -2
fit --config {q} --model.loss compound
fit --config {q} --model.loss weighted_sum
fit --config {q} --model.optimizer torch.optim.LBFGS
fit --config {q} --model.optimizer torch.optim.Adamm
fit --config {q} --model.optimizer torch.optim.SGD --model.optimizer.momentum -1
fit --config {q} --model.optimizer torch.optim.Adam --model.optimizer.betas [2,2]
fit --config {q} --model.optimizer.lr inf
fit --config {q} --model.optimizer.lr nan
fit --config {q} --model.schedule OneCycel
fit --config {q} --model.evaluation.threshold 1.5
fit --config {q} --model.evaluation.threshold iuo
fit --config {q} --model.evaluation.surface_every_n_epochs 0
fit --config {q} --model.weights {text}
fit --config {q} --model.weights {photos}/0.png
fit --config {q} --model.weights {photos}
fit --config {q} --model.compile perhaps
fit --config {q} --ckpt_path {text}
fit --config {q} --ckpt_path {photos}
fit --config {q} --ckpt_path {run}/checkpoints
fit --config {q} --ckpt_path best
fit --config {q} --ckpt_path last
fit --config {q} --ckpt_path hpc
fit --config {q} --out {run}
fit --config {q} --out {text}
fit --config {q} --out {text}/below
fit --config {q} --out /proc/x
fit --config {q} --out /dev/null
fit --config {q} --name ../../x
fit --config {q} --name ""
fit --config {q} --seed_everything x
fit --config {q} --seed_everything 1.5
fit --config {q} --wandb.mode offlin
fit --config {q} --wandb.tags 3
fit --config {q} --data.layout deepcrack
fit --config {q} --data.layout deepcrack --data.root nowhere
fit --config {q} --data.layout deepcrack --data.root {photos}
fit --config {q} --data.layout deepcrack --data.root {empty}
fit --config {q} --data.layout deepcrack --data.root {text}
fit --config {q} --data.layout folders --data.root {photos}
fit --config {q} --data.layout table --data.root {photos}
fit --config {q} --data.layout coco --data.root {photos}
fit --config {q} --data.layout annotations --data.root {text}
fit --config {q} --data.fold 1 --data.folds 1
fit --config {q} --data.fold 9
fit --config {q} --data.folds_file {text} --data.fold 0
fit --config {q} --data.folds_file {photos} --data.fold 0
fit --config {q} --data.fold_by source --data.fold 0
fit --config {q} --data.group (
fit --config {q} --data.group (a)(b)
fit --config {q} --data.group x
fit --config {q} --data.maps distanec
fit --config {q} --data.maps 3
fit --config {q} --data.map_options.foo 3
fit --config {q} --data.mean [0.5]
fit --config {q} --data.std [0,0,0]
fit --config {q} --data.channels 2
fit --config {q} --data.resize [0,0]
fit --config {q} --data.resize [64,64,64]
fit --config {q} --data.interpolation cubicc
fit --config {q} --data.padding white
fit --config {q} --data.coverage 1.5
fit --config {q} --data.augment stronk
fit --config {q} --data.augment.p 2
fit --config {q} --data.cache disc
fit --config {q} --data.num_workers -2
fit --config {q} --data.known_overlap ignore
fit --config {q} --data.val_fraction 0
fit --config {q} --data.pin_memory maybe
fit --config {q} --early_stopping.mode maximum
fit --config {q} --early_stopping.min_delta x
fit --config {q} --checkpoint.every_n_steps -1
fit --config {q} --checkpoint.mode maxx
fit --config {q} --panels.images -1
fit --config {q} --protocol gul
fit --config {q} positional
fit --config {q} --data
fit --config {q} --data x
fit --config {q} --model
fit --config {q} --trainer x
fit {q}
validate --config {run}/config.yaml
validate --config {run}/config.yaml --ckpt_path {text}
test --config {run}/config.yaml
test --config {run}/config.yaml --ckpt_path nowhere.ckpt
test --config {run}/config.yaml --ckpt_path {run}/config.yaml
test --config {run}/config.yaml --ckpt_path {run}/checkpoints/best.ckpt --protocol gull
test --config {run}/config.yaml --ckpt_path {run}/checkpoints/best.ckpt --model.net torch.nn.Conv2d --model.net.in_channels 3 --model.net.out_channels 1 --model.net.kernel_size 1
test --config {run}/config.yaml --ckpt_path {run}/checkpoints/best.ckpt --out {text}
test --config {run}/config.yaml --ckpt_path {run}/checkpoints/best.ckpt --model.optimizer.lr -1 --data.channels 1
test --config {run}/config.yaml --ckpt_path {run}/checkpoints/best.ckpt --data.split train
predict --ckpt_path {run} --images {photos} --out {new}
predict --ckpt_path {text} --images {photos} --out {new}
predict --ckpt_path cracklab:crack --images {photos} --out {new}
predict --ckpt_path {run}/checkpoints/best.ckpt --images nowhere --out {new}
predict --ckpt_path {run}/checkpoints/best.ckpt --images {empty} --out {new}
predict --ckpt_path {run}/checkpoints/best.ckpt --images {text} --out {new}
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos}
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {text}
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {text}/x
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --tile 0
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --tile 33
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --device tpu
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --device cuda:7
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --threshold 2
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --scales 0
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --scales 1 1 x
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --scales 1000
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --max_megapixels -1
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --trust
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --batch_size 0
predict --ckpt_path {run}/checkpoints/best.ckpt --images {photos} --out {new} --compare nowhere
rank {photos}
rank --out {new}
rank nowhere --out {new}
rank {empty} --out {new}
rank {photos} --out {photos}
rank {photos} --out {text}/x
rank {photos} --out {new} --labelled {photos}
rank {photos} --out {new} --labelled nowhere
rank {photos} {masks} --out {new}
rank {photos} --out {new} --ckpt_path {text}
rank {photos} --out {new} --ckpt_path cracklab:crack
rank {photos} --out {new} --max_megapixels 0
rank {photos} --out {new} --device tpu
rank {photos} --out {new} --label {masks}
export --ckpt_path {run}/checkpoints/best.ckpt
export --ckpt_path {run}/checkpoints/best.ckpt --out {text}
export --ckpt_path {run}/checkpoints/best.ckpt --out {run}
export --ckpt_path {text} --out {new}
export --ckpt_path nowhere --out {new}
export --ckpt_path {run}/checkpoints/best.ckpt --out {new} --opset 3
measure {photos}/nowhere.png
measure {empty}
measure {text}
measure {masks} --mm_per_px 0
measure {masks} --mm_per_px nan
measure {masks} --mm_per_px inf
measure {masks} --mm_per_px 1 --out {text}
measure {masks} --bridge_px -3
measure {masks} --min_length_px -1
measure {masks} --min_length_mm 5
measure {masks} --mm_per_px 1 --min_length_mm x
measure {masks} --figures png
measure {masks} --mm_per_px 1 --figures png
measure {masks} --scale nowhere.csv
measure {masks} --compare {empty}
kfold --config {q} --folds 1 --out {new}
kfold --config {q} --folds 1000 --out {new}
kfold --config {q} --folds x --out {new}
kfold --config {q} --folds 2
kfold --config {q} --folds 2 --out {text}
kfold --config {q} --folds 2 --out {run}
kfold --config {q} --folds 2 --out {new} --repeats 0
kfold --config {q} --folds 2 --out {new} --executor rayy
kfold --config {q} --folds 2 --out {new} --jobs 0
kfold --config {q} --folds 2 --out {new} --shard 3/2
kfold --config {q} --folds 2 --out {new} --redo fold_9
kfold --config {q} --folds 2 --out {new} --data.fold 1
kfold --config {q} --folds 2 --out {new} --model.los dice
kfold --config {q} --folds 2 --out {new} --ckpt_path {text}
study --config {q} --out {new}
study --config {text} --out {new}
study --config nowhere --out {new}
study --out {new}
study --config {study} --out {text}
study --config {study} --out {new} --shard 0/2
study --config {study} --out {new} --seeds 0
report
report {empty}
report {text}
report {run} --out {text}
report {run} --metric foo
report {run} --compare model.los
report {run} --baseline nothing
report {run} {run}
check
check --config nowhere
check --config {q} --data.layout deepcrack
check --config {q} --data.layout deepcrack --data.root {empty}
check --config {q} --out {text}
audit
audit {empty}
audit nowhere
audit {run}
audit {photos} --out {new}
audit {text}
audit {run} --rows 0
audit {run} --rows many
audit {run} --exclude_from 2
audit {run} --tolerance 3
audit {run} {run}
audit --ckpt_path nowhere.ckpt --config {q} --out {new}
audit --ckpt_path {run}/checkpoints/best.ckpt --out {new}
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q}
audit --ckpt_path {run}/checkpoints/best.ckpt --config nowhere --out {new}
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q} --out {new} --tolerance_px -1
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q} --out {new} --data.exclude nowhere.txt
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q} --out {new} --data.layout deepcrack --data.root {empty}
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q} --out {new} --data.layout folders --data.root {photos}
audit --ckpt_path {text} --config {q} --out {new}
audit --ckpt_path cracklab:crack --config {q} --out {new}
audit --ckpt_path {run}/checkpoints/best.ckpt --config {q} --out {new} --device meta
fit --config {q} --data.exclude nowhere.txt
fit --config {q} --data.exclude {text}
fit --config {q} --data.exclude {photos}
fit --config {q} --probabilities.keep perhaps
kfold --config {q} --keep_probabilites --out {new}
losses --health --size x
losses nothing
models nothing
models segmentation_models_pytorch.Unet --size 1
models --json nowhere
predcit --images x
fit --config {q} --data.batch_size 0x10
fit --config {q} --data.batch_size 1e99
fit --config {q} --data.layout.train 0
fit --config {q} --data.layout.size [64]
fit --config {q} --data.layout.train -5
fit --config {q} --print_configg
fit --config {q} --config={{}}
fit --config {q} --config=[1,2]
fit --config {q} --config=model
""".strip().splitlines()
