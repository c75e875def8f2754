#include "api/openai/openai.h"

namespace hf::api {

// Actions are Bedrock's, so that one policy speaks of a model whichever API it is asked through.
Service openai() {
  using namespace openai_api;
  Service s{.name = "openai",
            .signing_name = "bedrock-mantle",
            .iam_prefix = "bedrock",
            .protocol = Protocol::openai,
            .bearer = true};
  auto& list = s.add<ListModels, ModelList>(
      "ListModels", {"GET", "/v1/models"}, Effect::read, list_models,
      [](const Call& call, const ListModels&) { return call.arn("bedrock", "custom-model/*"); });
  list.action = "bedrock:ListCustomModels";
  auto& get =
      s.add<GetModel, ModelAnswer>("RetrieveModel", {"GET", "/v1/models/{model}"}, Effect::read, get_model,
                                   [](const Call& call, const GetModel& in) { return model_resource(call, in.model); });
  get.action = "bedrock:GetCustomModel";
  auto& chat_completions = s.add_either<ChatRequest, ChatAnswer>(
      "CreateChatCompletion", {"POST", "/v1/chat/completions"}, Effect::inference, chat, chat_stream,
      [](const ChatRequest& in) { return in.stream.value_or(false); },
      [](const Call& call, const ChatRequest& in) { return model_resource(call, in.model); });
  chat_completions.action = "bedrock:InvokeModel";
  chat_completions.pool = http::Pool::generate;

  s.missing("DeleteModel", {"DELETE", "/v1/models/{model}"});
  s.missing("ListChatCompletions", {"GET", "/v1/chat/completions"});
  s.missing("GetChatCompletion", {"GET", "/v1/chat/completions/{completion_id}"});
  s.missing("UpdateChatCompletion", {"POST", "/v1/chat/completions/{completion_id}"});
  s.missing("DeleteChatCompletion", {"DELETE", "/v1/chat/completions/{completion_id}"});
  s.missing("ListChatCompletionMessages", {"GET", "/v1/chat/completions/{completion_id}/messages"});
  s.missing("CreateCompletion", {"POST", "/v1/completions"});
  s.missing("CreateResponse", {"POST", "/v1/responses"});
  s.missing("GetResponse", {"GET", "/v1/responses/{response_id}"});
  s.missing("DeleteResponse", {"DELETE", "/v1/responses/{response_id}"});
  s.missing("CancelResponse", {"POST", "/v1/responses/{response_id}/cancel"});
  s.missing("ListResponseInputItems", {"GET", "/v1/responses/{response_id}/input_items"});
  s.missing("CreateEmbedding", {"POST", "/v1/embeddings"});
  s.missing("CreateModeration", {"POST", "/v1/moderations"});
  s.missing("CreateFile", {"POST", "/v1/files"});
  s.missing("ListFiles", {"GET", "/v1/files"});
  s.missing("RetrieveFile", {"GET", "/v1/files/{file_id}"});
  s.missing("DeleteFile", {"DELETE", "/v1/files/{file_id}"});
  s.missing("DownloadFile", {"GET", "/v1/files/{file_id}/content"});
  s.missing("CreateUpload", {"POST", "/v1/uploads"});
  s.missing("AddUploadPart", {"POST", "/v1/uploads/{upload_id}/parts"});
  s.missing("CompleteUpload", {"POST", "/v1/uploads/{upload_id}/complete"});
  s.missing("CancelUpload", {"POST", "/v1/uploads/{upload_id}/cancel"});
  s.missing("CreateFineTuningJob", {"POST", "/v1/fine_tuning/jobs"});
  s.missing("ListFineTuningJobs", {"GET", "/v1/fine_tuning/jobs"});
  s.missing("RetrieveFineTuningJob", {"GET", "/v1/fine_tuning/jobs/{fine_tuning_job_id}"});
  s.missing("CancelFineTuningJob", {"POST", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel"});
  s.missing("PauseFineTuningJob", {"POST", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/pause"});
  s.missing("ResumeFineTuningJob", {"POST", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/resume"});
  s.missing("ListFineTuningEvents", {"GET", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/events"});
  s.missing("ListFineTuningJobCheckpoints", {"GET", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints"});
  s.missing("CreateBatch", {"POST", "/v1/batches"});
  s.missing("ListBatches", {"GET", "/v1/batches"});
  s.missing("RetrieveBatch", {"GET", "/v1/batches/{batch_id}"});
  s.missing("CancelBatch", {"POST", "/v1/batches/{batch_id}/cancel"});
  s.missing("CreateVectorStore", {"POST", "/v1/vector_stores"});
  s.missing("ListVectorStores", {"GET", "/v1/vector_stores"});
  s.missing("GetVectorStore", {"GET", "/v1/vector_stores/{vector_store_id}"});
  s.missing("DeleteVectorStore", {"DELETE", "/v1/vector_stores/{vector_store_id}"});
  s.missing("SearchVectorStore", {"POST", "/v1/vector_stores/{vector_store_id}/search"});
  s.missing("CreateSpeech", {"POST", "/v1/audio/speech"});
  s.missing("CreateTranscription", {"POST", "/v1/audio/transcriptions"});
  s.missing("CreateTranslation", {"POST", "/v1/audio/translations"});
  s.missing("CreateImage", {"POST", "/v1/images/generations"});
  s.missing("CreateImageEdit", {"POST", "/v1/images/edits"});
  s.missing("CreateImageVariation", {"POST", "/v1/images/variations"});
  return s;
}

}  // namespace hf::api
